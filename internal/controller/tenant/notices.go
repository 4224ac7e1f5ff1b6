package tenant

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tenantry/tenantry/internal/fleet"
)

// noticed returns a source that enqueues the requests for each name in the notices.
func noticed(notices *fleet.Notices, requests func(ctx context.Context, name string) []reconcile.Request) source.Source {
	return source.Func(func(ctx context.Context, q queue) error {
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-notices.Added():
				}
				for _, name := range notices.Take() {
					enqueue(ctx, q, requests(ctx, name))
				}
			}
		}()
		return nil
	})
}

func byName(_ context.Context, name string) []reconcile.Request { return requestsFor([]string{name}) }
