package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/problem"
)

// ServerObservation is all that the status of a DatabaseServer depends on.
type ServerObservation struct {
	// Server is the server, with the status that it has so far.
	Server *v1alpha1.DatabaseServer
	// Answer is what the server has reported.
	Answer database.ServerStatus
	// Sharing is the state of the databases that tenants share.
	Sharing database.SharingStatus
	// Unshared says why that state is the former one; nil if it isn't.
	Unshared error
	// Dedicated is the state of a server that the operator runs itself.
	Dedicated Dedicated
	// Problem is why the server can't be used; nil if it can.
	Problem *problem.Problem
	// Addresses are the addresses of the server's host.
	Addresses []string
	// Service is the Service that the host names.
	Service HostService
	// CABundle are the certificate authorities that are trusted to sign the server's certificate.
	CABundle string
	// Users is the number of tenants whose databases are, or may be, on a server that is being deleted.
	Users int
	// Now is the time of the observation.
	Now time.Time
}

// OfServer returns the status of a server from an observation. While the server doesn't answer, the status keeps
// what it reported last.
func OfServer(o ServerObservation) v1alpha1.DatabaseServerStatus {
	result := *o.Server.Status.DeepCopy()
	result.ObservedGeneration = o.Server.Generation
	result.Addresses = o.Addresses
	result.Provisioner, result.Storage = o.Dedicated.Provisioner, o.Dedicated.Storage
	blockDeletion(&result.Conditions, o)
	setService(&result, o)
	if o.Problem != nil {
		summarize(&result.Conditions, o.Server.Generation, o.Now, condition.Of(*o.Problem))
		return result
	}
	setUnexpectedSuperusers(&result.Conditions, o)
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
	setReady(&result.Conditions, o)
	return result
}

// setReady sets the conditions of kstatus for a server that answers.
func setReady(conditions *[]metav1.Condition, o ServerObservation) {
	unmet := o.Dedicated.Unmet
	if full := diskFull(o); full != nil {
		if unmet != nil {
			full = new(problem.Together(*full, *unmet))
		}
		summarize(conditions, o.Server.Generation, o.Now, condition.Of(*full))
		return
	}
	summary := condition.Ready("%s", answering(o, *conditions))
	summary.Stalled = unmet != nil
	summarize(conditions, o.Server.Generation, o.Now, summary)
	if unmet != nil {
		condition.Set(conditions, o.Server.Generation, o.Now, v1alpha1.ConditionStalled,
			condition.State{Status: metav1.ConditionTrue, Reason: unmet.Reason, Message: unmet.Message})
	}
}

// diskFull returns the problem of a server that can't write; nil if it can.
func diskFull(o ServerObservation) *problem.Problem {
	switch {
	case o.Answer.DiskFull == "":
		return nil
	case o.Dedicated.Storage != nil:
		return new(problem.OwnDiskFull(o.Dedicated.Storage, o.Answer.DiskFull))
	default:
		return new(problem.DiskFull(o.Answer.DiskFull))
	}
}

// unprotected returns the number of unprotected tables, and those that the server has listed.
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

// SharingOf returns the state of the shared databases from the server's status, for the case that they can't be
// read.
func SharingOf(server *v1alpha1.DatabaseServer) (known database.SharingStatus) {
	known.UnprotectedTotal = int(ptr.Deref(server.Status.UnprotectedTables, 0))
	for _, table := range server.Status.Unprotected {
		known.Unprotected = append(known.Unprotected, database.UnprotectedTable{Name: table.Name, Problem: table.Problem})
	}
	return known
}

// answering returns the message for a server that can be used.
func answering(o ServerObservation, conditions []metav1.Condition) string {
	message := readyMessage(o)
	if unknown := meta.FindStatusCondition(conditions, v1alpha1.ConditionNetworkPeersUnknown); unknown != nil {
		message = "The server answers. " + unknown.Message
	}
	if o.Sharing.UnprotectedTotal > 0 {
		message += fmt.Sprintf(" Tables of the isolation Row that are not kept apart by tenant: %d; status.unprotected says what to do.", o.Sharing.UnprotectedTotal)
	}
	return message
}

func readyMessage(o ServerObservation) string {
	switch {
	case o.Users > 0:
		return "The server answers. " + usersMessage(o)
	case o.Dedicated.Unmet != nil:
		return "The server answers, as it is. " + o.Dedicated.Unmet.Message
	case otherVersion(o):
		return fmt.Sprintf("The server answers. It runs PostgreSQL %s, which its image has, and not the version %s of its spec.",
			o.Answer.Version, o.Server.Spec.Dedicated.Version)
	case o.Server.Spec.Unschedulable:
		return "The server answers. It is unschedulable, so it takes no new tenants."
	default:
		return "The server answers and is prepared for tenants."
	}
}

// otherVersion reports whether a dedicated server runs another major version than its spec says.
func otherVersion(o ServerObservation) bool {
	spec := o.Server.Spec.Dedicated
	if spec == nil || spec.Version == "" {
		return false
	}
	wanted, _, _ := strings.Cut(spec.Version, ".")
	found, _, _ := strings.Cut(o.Answer.Version, ".")
	return wanted != found
}

func usersMessage(o ServerObservation) string {
	return fmt.Sprintf("It is deleted once no tenant has its database there any more, and %d have; delete them first.", o.Users)
}

// blockDeletion sets or removes the condition about what the deletion of the server waits for.
func blockDeletion(conditions *[]metav1.Condition, o ServerObservation) {
	if o.Users == 0 {
		meta.RemoveStatusCondition(conditions, v1alpha1.ConditionDeletionBlocked)
		return
	}
	condition.Set(conditions, o.Server.Generation, o.Now, v1alpha1.ConditionDeletionBlocked, condition.State{
		Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonInUse, Message: usersMessage(o),
	})
}
