// Package retry decides when a controller reconciles an object with a problem again: with a back-off of up to two
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
	// soon is the wait before the first retry of something that may succeed at once. The wait doubles with each
	// retry.
	soon = 5 * time.Millisecond
	// later is the wait for a change of something that isn't watched, such as a conflicting object of somebody else.
	later = 30 * time.Second
	// bound is the longest wait before a retry.
	bound = 2 * time.Minute

	// TooOften is how many passes in a row may decide on old data before the status says so. With the waits between
	// them they take more than a second, so that a burst of changes is over.
	TooOften = 8
)

// RateLimiter returns the rate limiter for reconciles after an error.
func RateLimiter() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](soon, bound)
}

// Retries has, by name, when to reconcile objects again whose last pass ended with a problem. A pass that returned
// an error is retried by the controller itself.
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

// New returns empty Retries. The client's scheme must know the kinds of the objects; live reads from the API
// server who has changed an object.
func New(c client.Client, live client.Reader) *Retries {
	return &Retries{
		client: c, live: live, due: map[string]dueAt{},
		again: workqueue.NewTypedItemExponentialFailureRateLimiter[string](soon, bound),
		later: workqueue.NewTypedItemExponentialFailureRateLimiter[string](later, bound),
	}
}

// After notes how a pass has ended, and returns how long to wait before the next one; zero if none is needed, or
// if the controller itself retries. A pass that an event has caused before the retry was due doesn't count:
// otherwise a tenant with many events would soon wait the longest.
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

// Rounds returns how many passes in a row have decided on old data, counting only those that were due.
func (r *Retries) Rounds(name string) int { return r.again.NumRequeues(name) }

// Forget forgets an object that is gone.
func (r *Retries) Forget(name string) { r.After(name, problem.OnChange) }

// KeepsChanging turns a version conflict into a problem that says who has changed the object, if the passes of the
// named object have ended so too often in a row. It returns any other error unchanged.
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
	// The cache drops the manager of the status. If the API server doesn't answer, the writer isn't named.
	writer := ""
	if r.live.Get(ctx, client.ObjectKeyFromObject(written), now) == nil {
		writer = problem.LastWriter(now.ManagedFields, naming.FieldOwner)
	}
	return problem.KeepsChanging(key.String(), writer)
}
