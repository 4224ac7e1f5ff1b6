package status

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
)

// ServerObservation is all that the status of a DatabaseServer depends on.
type ServerObservation struct {
	// Server is the server, with the status that it has so far.
	Server *v1alpha1.DatabaseServer
	// Answer is what the server said about itself.
	Answer database.ServerStatus
	// Sharing is what the databases said that tenants share.
	Sharing database.SharingStatus
	// Problem says why the server can't be used; nil if it can.
	Problem *Problem
	// Addresses are the addresses of the server's host.
	Addresses []string
	// CABundle are the authorities that may have signed the server's certificate.
	CABundle string
	// Now is the time of the observation.
	Now time.Time
}

// OfServer is the status of the server that was observed. What it said about itself stays, while
// it doesn't answer.
func OfServer(o ServerObservation) v1alpha1.DatabaseServerStatus {
	result := *o.Server.Status.DeepCopy()
	result.ObservedGeneration = o.Server.Generation
	result.Addresses = o.Addresses
	if o.Problem != nil {
		summarize(&result.Conditions, o.Server.Generation, o.Now, o.Problem.state())
		return result
	}
	result.CABundle = o.CABundle
	result.Version = o.Answer.Version
	result.Tenants = new(int32(o.Answer.Tenants))
	result.RetainedDatabases = new(int32(o.Answer.RetainedTotal))
	result.Retained = nil
	for _, retained := range o.Answer.Retained {
		result.Retained = append(result.Retained, v1alpha1.RetainedDatabase{
			Name: retained.Name, Tenant: retained.Tenant, Since: metav1.NewTime(retained.Since.Truncate(time.Second)),
		})
	}
	result.UnprotectedTables, result.Unprotected = unprotected(o)
	message := "The server answers and is prepared for tenants."
	if o.Sharing.UnprotectedTotal > 0 {
		message += fmt.Sprintf(" Tables of the isolation Row that are not kept apart by tenant: %d; status.unprotected says what to do.", o.Sharing.UnprotectedTotal)
	}
	summarize(&result.Conditions, o.Server.Generation, o.Now, ready("%s", message))
	return result
}

// unprotected are the number of unprotected tables, and as many of them as the server has listed.
func unprotected(o ServerObservation) (*int32, []v1alpha1.UnprotectedTable) {
	if !slices.Contains(o.Server.Spec.Isolations, v1alpha1.DatabaseIsolationRow) {
		return nil, nil
	}
	var tables []v1alpha1.UnprotectedTable
	for _, table := range o.Sharing.Unprotected {
		tables = append(tables, v1alpha1.UnprotectedTable{Name: table.Name, Problem: table.Problem})
	}
	return new(int32(o.Sharing.UnprotectedTotal)), tables
}
