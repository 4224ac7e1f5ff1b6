package status

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/problem"
)

const (
	// maxFailing is how many failing tenants the status of a class names.
	maxFailing = 20
	// maxQuoted is how many of them its message quotes, and maxQuote how many bytes of each.
	maxQuoted, maxQuote = 3, 500
)

// ClassObservation is all that the status of a class depends on.
type ClassObservation struct {
	// Class is the class with its present status.
	Class *v1alpha1.TenantClass
	// Revision is the name of its current revision.
	Revision string
	// Tenants is how many tenants it has, and Ready, Pinned and HeldBack how many of them are so.
	Tenants, Ready, Pinned, HeldBack int32
	// Release is how far the current revision is.
	Release ClassRelease
	// Default is the default class; empty if there is none.
	Default string
	// Problem is what is wrong with the class; nil if nothing is.
	Problem *problem.Problem
	// Now is the time of the observation.
	Now time.Time
}

// ClassRelease is how far the current revision of a class is.
type ClassRelease struct {
	// InFlight are the tenants that are told to change.
	InFlight []v1alpha1.TenantClassAssignment
	// Updated is how many tenants the revision has reached.
	Updated int32
	// Failing are the tenants that have failed, and States say how they are.
	Failing, States []string
	// Stopped says that too many have failed, and Complete that the revision has reached all that take part.
	Stopped, Complete bool
	// Paused says that the class is paused. Otherwise, Opens is when its next window opens; zero if one is open.
	Paused bool
	Opens  time.Time
}

// OfClass returns the status of a class.
func OfClass(o ClassObservation) v1alpha1.TenantClassStatus {
	failing := o.Release.Failing
	result := v1alpha1.TenantClassStatus{
		Conditions: o.Class.Status.DeepCopy().Conditions, ObservedGeneration: o.Class.Generation,
		CurrentRevision: o.Revision, Tenants: &o.Tenants, Ready: &o.Ready, Pinned: &o.Pinned, HeldBack: &o.HeldBack,
		TenantClassRelease: v1alpha1.TenantClassRelease{
			StableRevision: o.Class.Status.StableRevision, InFlight: o.Release.InFlight, Updated: &o.Release.Updated,
			Failed: new(int32(len(failing))), Failing: failing[:min(len(failing), maxFailing)],
		},
	}
	if o.Release.Complete {
		result.StableRevision = o.Revision
	}
	meta.RemoveStatusCondition(&result.Conditions, v1alpha1.ConditionDeletionBlocked)
	summary := classSummary(o)
	switch {
	case !o.Class.DeletionTimestamp.IsZero() && o.Tenants > 0:
		blocked := condition.State{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonInUse, Message: fmt.Sprintf(
			"%s; it is removed once they have another class or are deleted. Those without spec.className got it as the default class.", has(o.Tenants))}
		condition.Set(&result.Conditions, o.Class.Generation, o.Now, v1alpha1.ConditionDeletionBlocked, blocked)
		summary = condition.State{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonTerminating, Message: blocked.Message}
	case o.Problem != nil:
		summary = condition.Of(*o.Problem)
	}
	summarize(&result.Conditions, o.Class.Generation, o.Now, summary)
	return result
}

func has(tenants int32) string {
	if tenants == 1 {
		return "1 tenant has this class"
	}
	return fmt.Sprintf("%d tenants have this class", tenants)
}

// classSummary says how a class is.
func classSummary(o ClassObservation) condition.State {
	release := o.Release
	reached := fmt.Sprintf("%s has reached %d of %d tenants", o.Revision, release.Updated, o.Tenants)
	if flying := len(release.InFlight); flying > 0 {
		reached += fmt.Sprintf(", and %d of them %s on the way", flying, are(flying))
	}
	waits := condition.State{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonProgressing}
	switch {
	case release.Complete:
		return condition.Ready("%s", settled(o))
	case release.Stopped:
		return condition.State{
			Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonReleaseStopped, Stalled: true,
			Message: fmt.Sprintf("The release has stopped: %s, and %s. It goes on once they are Ready; to take it back, give spec.tenant its former content. %s",
				reached, failed(len(release.Failing)), quote(release)),
		}
	case release.Paused:
		waits.Reason, waits.Message = v1alpha1.ReasonPaused, reached+". It is paused; it goes on without spec.rollout.paused."
	case !release.Opens.IsZero():
		waits.Reason = v1alpha1.ReasonWindowClosed
		waits.Message = fmt.Sprintf("%s. It goes on at %s, when its next window opens.", reached, release.Opens.UTC().Format(time.RFC3339))
	default:
		waits.Message = reached + "."
	}
	if len(release.Failing) > 0 {
		waits.Message += fmt.Sprintf(" There %s, which spec.rollout.maxFailures allows. %s", haveFailed(len(release.Failing)), quote(release))
	}
	return waits
}

func are(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func failed(n int) string {
	if n == 1 {
		return "1 has failed"
	}
	return fmt.Sprintf("%d have failed", n)
}

func haveFailed(n int) string {
	if n == 1 {
		return "is 1 that has failed"
	}
	return fmt.Sprintf("are %d that have failed", n)
}

// quote says what the first failing tenants say.
func quote(release ClassRelease) string {
	var said []string
	for i, name := range release.Failing[:min(len(release.Failing), maxQuoted)] {
		state := release.States[i]
		if len(state) > maxQuote {
			state = strings.ToValidUTF8(state[:maxQuote], "") + "…"
		}
		said = append(said, name+": "+state)
	}
	return strings.Join(said, " ")
}

// settled says in a sentence how a class is that has no release under way.
func settled(o ClassObservation) string {
	said := fmt.Sprintf("%d of %d tenants are ready.", o.Ready, o.Tenants)
	if o.Tenants == 0 {
		said = "It has no tenants."
	}
	switch {
	case o.Default == o.Class.Name:
		said += " New tenants that name no class get it."
	case o.Class.Annotations[v1alpha1.AnnotationDefaultClass] == "true":
		said += fmt.Sprintf(" It is marked as the default class, and so is %s, which is newer and applies; take the annotation off one of them.", o.Default)
	}
	if o.HeldBack > 0 {
		said += fmt.Sprintf(" %d of its tenants keep what is fixed once their database is placed; their condition HeldBack says what.", o.HeldBack)
	}
	return said
}
