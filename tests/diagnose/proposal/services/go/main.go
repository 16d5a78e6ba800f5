// A service in Go, with no module, that looks before it gives a ticket: who comes later is refused.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
)

var store = flag.String("store", "127.0.0.1:6379", "where its Redis is")

// ask runs one command on a connection of its own; it gives the reply, empty for none.
func ask(words ...string) string {
	link, err := net.Dial("tcp", *store)
	if err != nil {
		panic(err)
	}
	defer link.Close()
	fmt.Fprintf(link, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(link, "$%d\r\n%s\r\n", len(word), word)
	}
	reader := bufio.NewReader(link)
	head, _ := reader.ReadString('\n')
	if head[0] != '$' || strings.HasPrefix(head, "$-1") {
		return strings.TrimSpace(strings.TrimPrefix(head[1:], "-1"))
	}
	size, _ := strconv.Atoi(strings.TrimSpace(head[1:]))
	body := make([]byte, size)
	reader.Read(body)
	return string(body)
}

func main() {
	listen := flag.String("listen", ":8080", "where it listens")
	flag.Parse()
	http.HandleFunc("/tickets", func(answer http.ResponseWriter, request *http.Request) {
		key := "ticket:" + request.FormValue("show")
		known := ask("GET", key)
		if known != "" || ask("SET", key, "sold") != "OK" {
			answer.WriteHeader(http.StatusConflict)
			return
		}
		fmt.Fprintf(answer, "sold %s", ask("INCR", "tickets"))
	})
	panic(http.ListenAndServe(*listen, nil))
}
