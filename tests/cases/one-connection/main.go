// An alert counter whose requests share one connection to the store, as multiplexing clients do. It asks for the
// counter, sets it to 0 if there is none, and counts up. Two requests that both see none lose a hit.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
)

type pending chan string

var (
	mu      sync.Mutex
	conn    net.Conn
	waiting = make(chan pending, 1000)
)

// command writes down the shared connection; the reader hands replies out in order.
func command(words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	p := make(pending, 1)
	mu.Lock()
	waiting <- p
	_, err := io.WriteString(conn, b.String())
	mu.Unlock()
	if err != nil {
		log.Fatal(err)
	}
	return <-p
}

func read() {
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			log.Fatal(err)
		}
		line = strings.TrimSpace(line)
		if line[0] == '$' && line != "$-1" {
			n, _ := strconv.Atoi(line[1:])
			body := make([]byte, n+2)
			if _, err := io.ReadFull(r, body); err != nil {
				log.Fatal(err)
			}
			line = "$" + string(body[:n])
		}
		(<-waiting) <- line
	}
}

func main() {
	var err error
	if conn, err = net.Dial("tcp", "127.0.0.1:"+os.Getenv("REDIS_PORT")); err != nil {
		log.Fatal(err)
	}
	go read()
	http.HandleFunc("/ready", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/api/v1/signals/prometheus", func(w http.ResponseWriter, r *http.Request) {
		var hook struct {
			Alerts []struct{ Labels map[string]string }
		}
		if json.NewDecoder(r.Body).Decode(&hook) != nil || len(hook.Alerts) == 0 {
			http.Error(w, "bad", 400)
			return
		}
		pod := hook.Alerts[0].Labels["pod"]
		key := "alert:" + pod
		if command("GET", key) == "$-1" {
			command("SET", key, "0", "EX", "300")
		}
		n, _ := strconv.Atoi(command("INCR", key)[1:])
		status := 202
		if n == 1 {
			status = 201
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"fingerprint":%q,"remediationRequestName":%q,"metadata":{"count":%d}}`, pod, key, n)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
