package service_test

import (
	"errors"
	"testing"

	"github.com/tenantry/tenantry/internal/service"
)

func TestABreakerOpensForTheServerAndClosesByAProbe(t *testing.T) {
	var breaker service.Breaker
	for _, ofOneCall := range []error{nil, errors.New("syntax error"), &service.ConflictError{Problem: "in the way"}} {
		breaker.Trip(ofOneCall)
		if breaker.Err() != nil {
			t.Fatalf("%v opened it", ofOneCall)
		}
	}
	for _, ofServer := range []error{&service.UnreachableError{Engine: engine}, &service.AuthenticationError{Engine: engine}} {
		breaker.Trip(ofServer)
		if !errors.Is(breaker.Err(), ofServer) {
			t.Errorf("after %v it says %v", ofServer, breaker.Err())
		}
		breaker.Trip(nil)
		if breaker.Err() == nil {
			t.Error("a call that was under way closed it")
		}
		breaker.Record(nil)
		if breaker.Err() != nil {
			t.Errorf("after a probe it says %v", breaker.Err())
		}
	}
}
