package status

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/condition"
)

// setUnexpectedMembers sets or removes the condition about unexpected members and memberships of the tenant's
// database roles. If the server was not asked, it leaves the condition unchanged.
func setUnexpectedMembers(conditions *[]metav1.Condition, o Observation) {
	if o.Tenant.Spec.Database == nil || (o.Memberships != nil && len(*o.Memberships) == 0) {
		meta.RemoveStatusCondition(conditions, v1alpha1.ConditionUnexpectedAccess)
		return
	}
	if o.Memberships == nil {
		return
	}
	var found, remedies []string
	for _, membership := range *o.Memberships {
		found = append(found, fmt.Sprintf("%s may act as %s", membership.Member, membership.Role))
		remedies = append(remedies, fmt.Sprintf("REVOKE %s FROM %s", membership.Role, membership.Member))
	}
	condition.Set(conditions, o.Tenant.Generation, o.Now, v1alpha1.ConditionUnexpectedAccess, condition.State{
		Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonUnexpectedMember,
		Message: fmt.Sprintf("On the database server, %s. The operator has not made it so and leaves it; to end it, run %s.",
			strings.Join(found, ", "), strings.Join(remedies, "; ")),
	})
}

// setUnexpectedSuperusers sets or removes the condition about superusers that a server didn't have when it was
// prepared.
func setUnexpectedSuperusers(conditions *[]metav1.Condition, o ServerObservation) {
	names := o.Answer.Superusers
	if len(names) == 0 {
		meta.RemoveStatusCondition(conditions, v1alpha1.ConditionUnexpectedAccess)
		return
	}
	list := strings.Join(names, ", ")
	condition.Set(conditions, o.Server.Generation, o.Now, v1alpha1.ConditionUnexpectedAccess, condition.State{
		Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonUnexpectedSuperuser,
		Message: fmt.Sprintf("The server has superusers that it had not when it was prepared, and who can read the data of all tenants: %s. Run ALTER ROLE %s NOSUPERUSER, or, if that is meant to be, INSERT INTO tenantry.superusers VALUES ('%s') in the database postgres.",
			list, names[0], names[0]),
	})
}
