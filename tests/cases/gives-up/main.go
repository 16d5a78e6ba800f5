// Counts in a transaction that WATCH guards. A request that loses two attempts, as another wrote meanwhile, reads and
// writes without a guard. Two that have both lost twice then lose a hit: four requests are needed.
package main

import "strconv"

func main() {
	serve(func(pod string) (int, string, int) {
		c, key, n := take(), "alert:"+pod, 0
		defer func() { idle <- c }()
		won := false
		for tries := 0; tries < 2 && !won; tries++ {
			c.do("WATCH", key)
			n = number(c.do("GET", key)) + 1
			c.do("MULTI")
			c.do("SET", key, strconv.Itoa(n), "EX", "300")
			if won = c.do("EXEC") == "*1"; won {
				c.r.ReadString('\n') // what SET said
			}
		}
		if !won {
			n = number(c.do("GET", key)) + 1
			c.do("SET", key, strconv.Itoa(n), "EX", "300")
		}
		if n == 1 {
			return 201, key, n
		}
		return 202, key, n
	})
}
