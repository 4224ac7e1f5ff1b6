package fleet

import (
	"fmt"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
)

func TestNoticesWaitForNobodyAndAreAllDelivered(t *testing.T) {
	const many = 10_000
	var notices Notices
	var added []string
	for n := range many { // A test that blocks here runs into its timeout.
		name := fmt.Sprintf("tenant-%05d", n)
		added = append(added, name)
		notices.Add(name)
		notices.Add(name)
	}
	select {
	case <-notices.Added():
	default:
		t.Fatal("nobody is told that there are notices")
	}
	if got := notices.Take(); !slices.Equal(got, added) {
		t.Errorf("%d notices were delivered, want each of %d once", len(got), many)
	}
	if got := notices.Take(); len(got) > 0 {
		t.Errorf("%d notices were delivered twice", len(got))
	}
	select {
	case <-notices.Added():
		t.Error("there is said to be more")
	default:
	}
}

func TestANoticeThatComesWhileOthersAreTakenIsNotLost(t *testing.T) {
	const many = 10_000
	var notices Notices
	go func() {
		for n := range many {
			notices.Add(fmt.Sprint(n))
		}
	}()
	seen := sets.New[string]()
	for got := 0; got < many; {
		<-notices.Added()
		taken := notices.Take()
		got += len(taken)
		seen.Insert(taken...)
	}
	if len(seen) != many {
		t.Errorf("%d different notices were delivered, want %d", len(seen), many)
	}
}
