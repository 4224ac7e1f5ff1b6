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

// classOf returns the class that a tenant has; nil if it has none.
func classOf(o Observation) *v1alpha1.TenantStatusClass {
	class := o.Tenant.Class
	if class == nil {
		return nil
	}
	result := &v1alpha1.TenantStatusClass{Name: class.Name, Revision: class.Revision, AssignedAt: metav1.NewTime(o.Now.Truncate(time.Second))}
	if recorded := o.Tenant.Status.Class; recorded != nil && recorded.Name == class.Name {
		result.AssignedAt = recorded.AssignedAt
	}
	return result
}

// setHeldBack sets the condition HeldBack while the class says something else about what is fixed.
func setHeldBack(conditions *[]metav1.Condition, o Observation) {
	if len(o.Tenant.HeldBack) == 0 {
		meta.RemoveStatusCondition(conditions, v1alpha1.ConditionHeldBack)
		return
	}
	condition.Set(conditions, o.Tenant.Generation, o.Now, v1alpha1.ConditionHeldBack, condition.State{
		Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonImmutable,
		Message: fmt.Sprintf("The class %s says otherwise about what is fixed once the database is placed: %s. Everything else is as the class says.",
			o.Tenant.Class.Name, strings.Join(o.Tenant.HeldBack, "; ")),
	})
}

// ClassObservation is all that the status of a class depends on.
type ClassObservation struct {
	// Class is the class with its present status.
	Class *v1alpha1.TenantClass
	// Revision is the name of its current revision.
	Revision string
	// Tenants is how many tenants it has, and Ready, Pinned and HeldBack how many of them are so.
	Tenants, Ready, Pinned, HeldBack int32
	// Default is the default class; empty if there is none.
	Default string
	// Problem is what is wrong with the class; nil if nothing is.
	Problem *problem.Problem
	// Now is the time of the observation.
	Now time.Time
}

// OfClass returns the status of a class.
func OfClass(o ClassObservation) v1alpha1.TenantClassStatus {
	result := v1alpha1.TenantClassStatus{
		Conditions: o.Class.Status.DeepCopy().Conditions, ObservedGeneration: o.Class.Generation,
		CurrentRevision: o.Revision, Tenants: &o.Tenants, Ready: &o.Ready, Pinned: &o.Pinned, HeldBack: &o.HeldBack,
	}
	meta.RemoveStatusCondition(&result.Conditions, v1alpha1.ConditionDeletionBlocked)
	summary := condition.Ready("%s", classSummary(o))
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

// classSummary says in a sentence how a class is.
func classSummary(o ClassObservation) string {
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
