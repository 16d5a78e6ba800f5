// A Gateway in Go that knows nothing of the harness: net/http, and go-redis as its manual shows it, with its pool of
// connections. Usage: gateway racy | atomic | mutex | together | shared.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"sync"

	"github.com/redis/go-redis/v9"
)

const ttlSeconds = 300

var client = redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + os.Getenv("REDIS_PORT")})

var createOrCount = redis.NewScript(`
local count = redis.call('HINCRBY', KEYS[1], 'count', 1)
if count == 1 then redis.call('HSET', KEYS[1], 'record', ARGV[1]) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return count
`)

type protocol func(ctx context.Context, key, record string) (int, error)

// Racy: whoever reads the count before another has written it back loses a hit.
func readModifyWrite(ctx context.Context, key, record string) (int, error) {
	there, err := client.Exists(ctx, key).Result()
	if err != nil {
		return 0, err
	}
	if there == 0 {
		return 1, client.HSet(ctx, key, "record", record, "count", 1).Err()
	}
	count, err := client.HGet(ctx, key, "count").Int()
	if err != nil {
		return 0, err
	}
	return count + 1, client.HSet(ctx, key, "count", count+1).Err()
}

// Correct: one script creates the record or counts the hit.
func atomic(ctx context.Context, key, record string) (int, error) {
	return createOrCount.Run(ctx, client, []string{key}, record, ttlSeconds).Int()
}

var lock sync.Mutex

// Correct in one process: the racy code, one request after another.
func locked(ctx context.Context, key, record string) (int, error) {
	lock.Lock()
	defer lock.Unlock()
	return readModifyWrite(ctx, key, record)
}

var leaders sync.Map

// Correct, and several requests go on at once: who comes while a first one is at work waits until it is done.
func together(ctx context.Context, key, record string) (int, error) {
	done := make(chan struct{})
	if leader, there := leaders.LoadOrStore(key, done); there {
		<-leader.(chan struct{})
		return atomic(ctx, key, record)
	}
	defer close(done)
	defer leaders.Delete(key)
	return atomic(ctx, key, record)
}

type read struct {
	done  chan struct{}
	there int64
	err   error
}

var reads sync.Map

// Correct, but what one request asked serves all who wait for it, so that they go on from different places at once.
func shared(ctx context.Context, key, record string) (int, error) {
	mine := &read{done: make(chan struct{})}
	found, there := reads.LoadOrStore(key, mine)
	first := found.(*read)
	if there {
		<-first.done
	} else {
		first.there, first.err = client.Exists(ctx, key).Result()
		reads.Delete(key)
		close(first.done)
	}
	if first.err != nil {
		return 0, first.err
	}
	return atomic(ctx, key, record)
}

type webhook struct {
	Alerts []struct {
		Labels struct{ Alertname, Namespace, Pod string }
	}
}

func prometheus(deduplicate protocol, request *http.Request) (int, map[string]any, error) {
	var signal webhook
	if err := json.NewDecoder(request.Body).Decode(&signal); err != nil {
		return 0, nil, err
	}
	if len(signal.Alerts) == 0 {
		return 0, nil, errors.New("the webhook has no alerts")
	}
	labels := signal.Alerts[0].Labels
	sum := sha256.Sum256([]byte(labels.Alertname + ":" + labels.Namespace + ":Pod:" + labels.Pod))
	fingerprint := fmt.Sprintf("%x", sum)
	record := "rr-" + fingerprint[:16]
	count, err := deduplicate(request.Context(), "gw:dedup:"+fingerprint, record)
	if err != nil {
		return 0, nil, err
	}
	answer := map[string]any{"status": "created", "fingerprint": fingerprint, "remediationRequestName": record}
	if count == 1 {
		return http.StatusCreated, answer, nil
	}
	answer["status"], answer["duplicate"] = "duplicate", true
	answer["metadata"] = map[string]any{"count": count}
	return http.StatusAccepted, answer, nil
}

func main() {
	deduplicate := map[string]protocol{
		"racy": readModifyWrite, "atomic": atomic, "mutex": locked, "together": together, "shared": shared,
	}[os.Args[1]]
	http.HandleFunc("GET /ready", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("POST /api/v1/signals/prometheus", func(writer http.ResponseWriter, request *http.Request) {
		status, answer, err := prometheus(deduplicate, request)
		if err != nil {
			status = http.StatusInternalServerError
			answer = map[string]any{"type": "https://kubernaut.ai/problems/internal-error", "detail": err.Error()}
		}
		writer.Header().Set("Content-Type", "application/json")
		writer.WriteHeader(status)
		if err := json.NewEncoder(writer).Encode(answer); err != nil {
			log.Print(err)
		}
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
