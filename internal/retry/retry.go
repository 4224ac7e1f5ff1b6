// Package retry says when a controller reconciles again what has met a problem: with a backoff of up to two
// minutes.
package retry

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
)

const (
	// soon is how long to wait before the first retry of what may succeed at once. The wait doubles with each
	// further one.
	soon = 5 * time.Millisecond
	// later is the same for what isn't watched, such as an object of somebody else that is in the way.
	later = 30 * time.Second
	// bound is the longest wait before a retry.
	bound = 2 * time.Minute

	// TooOften is how many passes in a row may find that they decided on old data before the status says so.
	// With the waits between them they take more than a second, by which a burst of changes is over.
	TooOften = 8
)

// RateLimiter says when a controller reconciles an object again after an error.
func RateLimiter() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](soon, bound)
}

// Retries say when objects are reconciled again whose last pass ended with a problem, by name. A pass that
// returned an error is retried by the controller itself.
type Retries struct {
	client client.Client
	// live reads from the API server.
	live         client.Reader
	again, later workqueue.TypedRateLimiter[string]

	mutex sync.Mutex
	due   map[string]dueAt
}

// dueAt is when an object is reconciled again, and why.
type dueAt struct {
	retry problem.Retry
	at    time.Time
}

// New returns Retries of no object. The client knows the kinds of objects; live reads from the API server who
// has changed one.
func New(c client.Client, live client.Reader) *Retries {
	return &Retries{
		client: c, live: live, due: map[string]dueAt{},
		again: workqueue.NewTypedItemExponentialFailureRateLimiter[string](soon, bound),
		later: workqueue.NewTypedItemExponentialFailureRateLimiter[string](later, bound),
	}
}

// After notes how a pass has ended, and returns how long to wait before the next one; zero if none is
// needed, or the controller sees to it. A pass that an event has caused before the retry was due doesn't count:
// a tenant with many events would soon wait the longest.
func (r *Retries) After(name string, retry problem.Retry) time.Duration {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	now, former := time.Now(), r.due[name]
	if former.retry == retry && now.Before(former.at) {
		return former.at.Sub(now)
	}
	if retry != problem.Again {
		r.again.Forget(name)
	}
	if retry != problem.Later {
		r.later.Forget(name)
	}
	var wait time.Duration
	switch retry {
	case problem.Again:
		wait = r.again.When(name)
	case problem.Later:
		wait = r.later.When(name)
	default:
		delete(r.due, name)
		return 0
	}
	r.due[name] = dueAt{retry, now.Add(wait)}
	return wait
}

// Rounds returns how many passes in a row, each when it was due, have decided on old data.
func (r *Retries) Rounds(name string) int { return r.again.NumRequeues(name) }

// Forget forgets an object that is gone.
func (r *Retries) Forget(name string) { r.After(name, problem.OnChange) }

// KeepsChanging turns a conflict of versions into a problem that says who has changed the object, if the passes
// over the named one have ended so too often in a row. Any other error stays as it is.
func (r *Retries) KeepsChanging(ctx context.Context, name string, written client.Object, err error) error {
	if !problem.Outdated(err) || r.Rounds(name) < TooOften {
		return err
	}
	key, keyErr := apply.KeyOf(written, r.client)
	gvk, gvkErr := apiutil.GVKForObject(written, r.client.Scheme())
	if keyErr != nil || gvkErr != nil {
		return err
	}
	now := &metav1.PartialObjectMetadata{}
	now.SetGroupVersionKind(gvk)
	// The cache doesn't have who changed the status. Without an answer the writer isn't named.
	writer := ""
	if r.live.Get(ctx, client.ObjectKeyFromObject(written), now) == nil {
		writer = problem.LastWriter(now.ManagedFields, naming.FieldOwner)
	}
	return problem.KeepsChanging(key.String(), writer)
}
