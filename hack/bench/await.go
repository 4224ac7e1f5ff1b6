package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const progressEvery = 5 * time.Second

// awaiting is the state of a wait for objects of a kind to be done.
type awaiting struct {
	what     string
	want     int
	done     func(client.Object) bool
	finished sets.Set[types.NamespacedName]
	// times are when each object was done, except those that were done from the start.
	times []time.Time
}

// await watches objects of a kind until the wanted number of them is done, and reports its progress.
func (s *site) await(ctx context.Context, list client.ObjectList, want int, what string, done func(client.Object) bool, options ...client.ListOption) error {
	_, err := s.awaitEach(ctx, list, want, what, done, options...)
	return err
}

// awaitEach does the same, and returns when each object was done, in that order, except those that were done from
// the start.
func (s *site) awaitEach(ctx context.Context, list client.ObjectList, want int, what string, done func(client.Object) bool, options ...client.ListOption) ([]time.Time, error) {
	wait := &awaiting{what: what, want: want, done: done, finished: sets.New[types.NamespacedName]()}
	if err := s.admin.List(ctx, list, options...); err != nil {
		return nil, err
	}
	if err := apimeta.EachListItem(list, wait.note); err != nil {
		return nil, err
	}
	wait.times = nil
	watcher, err := s.admin.Watch(ctx, list, append(options, &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.GetResourceVersion()}})...)
	if err != nil {
		return nil, err
	}
	defer watcher.Stop()
	err = wait.follow(ctx, watcher.ResultChan())
	return wait.times, err
}

func (a *awaiting) note(object runtime.Object) error {
	if object, ok := object.(client.Object); ok && a.done(object) && !a.finished.Has(client.ObjectKeyFromObject(object)) {
		a.finished.Insert(client.ObjectKeyFromObject(object))
		a.times = append(a.times, time.Now())
	}
	return nil
}

func (a *awaiting) follow(ctx context.Context, events <-chan watch.Event) error {
	progress := time.NewTicker(progressEvery)
	defer progress.Stop()
	for a.finished.Len() < a.want {
		select {
		case event, open := <-events:
			if !open || event.Type == watch.Error {
				return errors.New("the watch ended before all was done")
			}
			if err := a.note(event.Object); err != nil {
				return err
			}
		case <-progress.C:
			say("%s: %d of %d", a.what, a.finished.Len(), a.want)
		case <-ctx.Done():
			return fmt.Errorf("%d of %d %s: %w", a.finished.Len(), a.want, a.what, ctx.Err())
		}
	}
	return nil
}

// until waits for the outcome of run, which runs concurrently, and stops waiting if run fails.
func until(ctx context.Context, run, outcome func(context.Context) error) error {
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return run(ctx) })
	both.Go(func() error { return outcome(ctx) })
	return both.Wait()
}
