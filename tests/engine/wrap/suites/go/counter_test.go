// A test of a user: two goroutines count, each on a connection of its own.
package counter

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

type client struct {
	conn   net.Conn
	reader *bufio.Reader
}

func dial(t *testing.T) *client {
	conn, err := net.Dial("tcp", net.JoinHostPort(os.Getenv("REDIS_HOST"), os.Getenv("REDIS_PORT")))
	if err != nil {
		t.Fatal(err)
	}
	return &client{conn, bufio.NewReader(conn)}
}

// ask sends a command and gives its reply; what is not there is "0".
func (c *client) ask(words ...string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&text, "$%d\r\n%s\r\n", len(word), word)
	}
	fmt.Fprint(c.conn, text.String())
	line, _ := c.reader.ReadString('\n')
	line = strings.TrimSpace(line)
	switch {
	case line == "$-1" || line == "":
		return "0"
	case line[0] == '$':
		value, _ := c.reader.ReadString('\n')
		return strings.TrimSpace(value)
	}
	return line[1:]
}

func counted(t *testing.T, add func(*client)) string {
	first, second := dial(t), dial(t)
	var wait sync.WaitGroup
	wait.Add(2)
	go func() {
		defer wait.Done()
		add(first)
	}()
	go func() { // it reads its configuration first
		defer wait.Done()
		for number := 0; number < 3; number++ {
			second.ask("GET", fmt.Sprintf("config:%d", number))
		}
		add(second)
	}()
	wait.Wait()
	return first.ask("GET", "counter")
}

func TestRacy(t *testing.T) {
	found := counted(t, func(c *client) {
		value, _ := strconv.Atoi(c.ask("GET", "counter"))
		c.ask("SET", "counter", strconv.Itoa(value+1))
	})
	if found != "2" {
		t.Fatalf("expected 2, got %s", found)
	}
}

func TestFixed(t *testing.T) {
	found := counted(t, func(c *client) { c.ask("INCR", "counter") })
	if found != "2" {
		t.Fatalf("expected 2, got %s", found)
	}
}
