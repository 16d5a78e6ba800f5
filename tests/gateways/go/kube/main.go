// A Gateway in Go over the Kubernetes API that knows nothing of the harness: net/http, and controller-runtime as its
// manual shows it. It counts hits in the status of a RemediationRequest. Usage: gateway racy | cached | corrected.
package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/retry"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const byFingerprint = "spec.signalFingerprint"

var kind = schema.GroupVersionKind{Group: "kubernaut.ai", Version: "v1alpha1", Kind: "RemediationRequest"}

// finished are the phases in which a record is not active any more.
var finished = map[string]bool{"Completed": true, "Failed": true, "TimedOut": true, "Skipped": true, "Cancelled": true}

// gateway reads by reader, which is the API or a cache of it, and writes to the API.
type gateway struct {
	reader    client.Reader
	writer    client.Client
	corrected bool
}

// signalled is what the webhook tells of, as far as it matters here.
type signalled struct {
	fingerprint, alertname, namespace, severity, pod string
}

type webhook struct {
	Alerts []struct {
		Labels struct{ Alertname, Namespace, Pod, Severity string }
	}
}

var errGone = errors.New("the record was deleted meanwhile")

// deduplicate creates a record, or counts a hit in the one that is active; it tells whether it created it. Corrected: it
// begins again where the record was deleted under its hands.
func (g *gateway) deduplicate(ctx context.Context, sent signalled) (*unstructured.Unstructured, bool, error) {
	for {
		record, created, err := g.once(ctx, sent)
		if !errors.Is(err, errGone) || ctx.Err() != nil {
			return record, created, err
		}
	}
}

func (g *gateway) once(ctx context.Context, sent signalled) (*unstructured.Unstructured, bool, error) {
	active, err := g.active(ctx, sent)
	if err != nil {
		return nil, false, err
	}
	created := active == nil
	if created {
		active = g.record(sent)
		err = g.writer.Create(ctx, active)
		if apierrors.IsAlreadyExists(err) {
			// Racy: whoever lost says that it created the record too. Corrected: the conflict is the lock.
			created = !g.corrected
			err = g.gone(g.reader.Get(ctx, client.ObjectKeyFromObject(active), active))
		}
		if err != nil {
			return nil, false, err
		}
	}
	err = g.gone(g.count(ctx, active, created))
	if err != nil && !g.corrected {
		log.Printf("status of %s: %v", active.GetName(), err) // Racy: a hit that is not stored is answered all the same.
		err = nil
	}
	return active, created, err
}

// gone tells what is done again when it is corrected.
func (g *gateway) gone(err error) error {
	if g.corrected && apierrors.IsNotFound(err) {
		return errGone
	}
	return err
}

// active finds the record of a fingerprint that is not finished.
func (g *gateway) active(ctx context.Context, sent signalled) (*unstructured.Unstructured, error) {
	found := &unstructured.UnstructuredList{}
	found.SetGroupVersionKind(kind)
	err := g.reader.List(ctx, found, client.InNamespace(sent.namespace), client.MatchingFields{byFingerprint: sent.fingerprint})
	if err != nil {
		return nil, err
	}
	for at := range found.Items {
		phase, _, _ := unstructured.NestedString(found.Items[at].Object, "status", "overallPhase")
		if !finished[phase] {
			return &found.Items[at], nil
		}
	}
	return nil, nil
}

// record makes a record. Racy: its name changes every second. Corrected: its name is that of the fingerprint, so that
// one can be active at a time.
func (g *gateway) record(sent signalled) *unstructured.Unstructured {
	now := time.Now().UTC()
	name := "rr-" + sent.fingerprint[:12] + "-" + strconv.FormatInt(now.Unix(), 10)
	if g.corrected {
		name = "rr-" + sent.fingerprint[:32]
	}
	made := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"signalFingerprint": sent.fingerprint,
		"signalName":        sent.alertname,
		"severity":          sent.severity,
		"signalType":        "prometheus-alert",
		"targetType":        "kubernetes",
		"targetResource":    map[string]any{"kind": "Pod", "name": sent.pod, "namespace": sent.namespace},
		"firingTime":        now.Format(time.RFC3339),
		"receivedTime":      now.Format(time.RFC3339),
	}}}
	made.SetGroupVersionKind(kind)
	made.SetNamespace(sent.namespace)
	made.SetName(name)
	return made
}

// count adds a hit to the status of a record. Racy: it gives up after four conflicts. Corrected: it goes on until it is
// stored, or the client is gone; and as the creation is the first hit, whoever comes before its creator counts two, and
// the creator then leaves what it finds.
func (g *gateway) count(ctx context.Context, record *unstructured.Unstructured, created bool) error {
	again := func() error {
		if err := g.reader.Get(ctx, client.ObjectKeyFromObject(record), record); err != nil {
			return err
		}
		now := time.Now().UTC().Format(time.RFC3339)
		hits, there, err := unstructured.NestedInt64(record.Object, "status", "deduplication", "occurrenceCount")
		if err != nil {
			return err
		}
		if g.corrected && there && created {
			return nil
		}
		if !there {
			if g.corrected && !created {
				hits = 1
			}
			_ = unstructured.SetNestedField(record.Object, now, "status", "deduplication", "firstSeenAt")
		}
		_ = unstructured.SetNestedField(record.Object, now, "status", "deduplication", "lastSeenAt")
		_ = unstructured.SetNestedField(record.Object, hits+1, "status", "deduplication", "occurrenceCount")
		return g.writer.Status().Update(ctx, record)
	}
	if !g.corrected {
		return retry.RetryOnConflict(retry.DefaultBackoff, again)
	}
	for {
		if err := again(); !apierrors.IsConflict(err) || ctx.Err() != nil {
			return err
		}
	}
}

func (g *gateway) prometheus(writer http.ResponseWriter, request *http.Request) {
	sent, status, err := read(request)
	if err != nil {
		problem(writer, status, "validation-error", err)
		return
	}
	record, created, err := g.deduplicate(request.Context(), sent)
	if err != nil {
		problem(writer, http.StatusInternalServerError, "internal-error", fmt.Errorf("Kubernetes API error: %w", err))
		return
	}
	answer := map[string]any{
		"status": "created", "duplicate": false, "fingerprint": sent.fingerprint,
		"remediationRequestName": record.GetName(), "remediationRequestNamespace": record.GetNamespace(),
	}
	if !created {
		deduplication, _, _ := unstructured.NestedMap(record.Object, "status", "deduplication")
		answer["status"], answer["duplicate"] = "duplicate", true
		answer["metadata"] = map[string]any{
			"count":                 deduplication["occurrenceCount"],
			"firstOccurrence":       deduplication["firstSeenAt"],
			"lastOccurrence":        deduplication["lastSeenAt"],
			"remediationRequestRef": types.NamespacedName{Namespace: record.GetNamespace(), Name: record.GetName()}.String(),
		}
		reply(writer, http.StatusAccepted, "application/json", answer)
		return
	}
	reply(writer, http.StatusCreated, "application/json", answer)
}

// read checks and reads a webhook; with an error it gives the status to answer.
func read(request *http.Request) (signalled, int, error) {
	if _, err := strconv.ParseInt(request.Header.Get("X-Timestamp"), 10, 64); err != nil {
		return signalled{}, http.StatusBadRequest, errors.New("X-Timestamp must be a time in seconds")
	}
	var told webhook
	if err := json.NewDecoder(request.Body).Decode(&told); err != nil {
		return signalled{}, http.StatusBadRequest, err
	}
	if len(told.Alerts) == 0 || told.Alerts[0].Labels.Alertname == "" {
		return signalled{}, http.StatusBadRequest, errors.New("the webhook has no alert with a name")
	}
	labels := told.Alerts[0].Labels
	namespace := cmp.Or(labels.Namespace, "default")
	sum := sha256.Sum256([]byte(labels.Alertname + ":" + namespace + ":Pod:" + labels.Pod))
	return signalled{fmt.Sprintf("%x", sum), labels.Alertname, namespace, labels.Severity, labels.Pod}, 0, nil
}

func problem(writer http.ResponseWriter, status int, kind string, err error) {
	reply(writer, status, "application/problem+json", map[string]any{
		"type": "https://kubernaut.ai/problems/" + kind, "title": http.StatusText(status), "status": status,
		"detail": err.Error(),
	})
}

func reply(writer http.ResponseWriter, status int, kind string, answer map[string]any) {
	writer.Header().Set("Content-Type", kind)
	writer.WriteHeader(status)
	if err := json.NewEncoder(writer).Encode(answer); err != nil {
		log.Print(err)
	}
}

// start connects to the API server of KUBECONFIG and, with a cache, waits until it is filled.
func start(ctx context.Context, cached, corrected bool) (*gateway, error) {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return nil, err
	}
	config.QPS = -1 // no limit of its own
	writer, err := client.New(config, client.Options{})
	if err != nil {
		return nil, err
	}
	found := &gateway{writer, writer, corrected}
	if !cached {
		return found, nil
	}
	reads, err := cache.New(config, cache.Options{})
	if err != nil {
		return nil, err
	}
	of := func(object client.Object) []string {
		fingerprint, _, _ := unstructured.NestedString(object.(*unstructured.Unstructured).Object, "spec", "signalFingerprint")
		return []string{fingerprint}
	}
	indexed := &unstructured.Unstructured{}
	indexed.SetGroupVersionKind(kind)
	if err := reads.IndexField(ctx, indexed, byFingerprint, of); err != nil {
		return nil, err
	}
	go func() { log.Fatal(reads.Start(ctx)) }()
	if !reads.WaitForCacheSync(ctx) {
		return nil, errors.New("the cache was not filled")
	}
	found.reader = reads
	return found, nil
}

func main() {
	ctrl.SetLogger(logr.Discard())
	modes := map[string][2]bool{"racy": {}, "cached": {true, false}, "corrected": {false, true}}
	if len(os.Args) != 2 || modes[os.Args[1]] == [2]bool{} && os.Args[1] != "racy" {
		log.Fatal("usage: gateway racy | cached | corrected")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	mode := modes[os.Args[1]]
	found, err := start(ctx, mode[0], mode[1])
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("GET /ready", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("POST /api/v1/signals/prometheus", found.prometheus)
	go func() { log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil)) }()
	<-ctx.Done()
}
