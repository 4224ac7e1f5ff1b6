package problem_test

import (
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/problem"
)

func TestWhatKeepsAnObjectOfAClassFromBeingInPlace(t *testing.T) {
	const path = "spec.objects[1].template"
	releases := schema.GroupResource{Group: "helm.toolkit.fluxcd.io", Resource: "helmreleases"}
	for _, test := range []struct {
		name    string
		err     error
		reason  string
		stalled bool
		retry   problem.Retry
		message string
	}{
		{
			"a right that the operator lacks",
			apierrors.NewForbidden(releases, "shop", errors.New(`User "system:serviceaccount:tenantry-system:tenantry-manager" cannot create resource "helmreleases" in API group "helm.toolkit.fluxcd.io" in the namespace "acme"`)),
			v1alpha1.ReasonForbidden, false, problem.Later,
			"The operator has not the rights to helmreleases.helm.toolkit.fluxcd.io, of which spec.objects[1].template of the class gold has one. To give them to it: " +
				"kubectl create clusterrole tenantry-class-helmreleases --verb=get,list,watch,create,patch,delete --resource=helmreleases.helm.toolkit.fluxcd.io && " +
				"kubectl label clusterrole tenantry-class-helmreleases tenantry.dev/aggregate-to-class-objects=true",
		},
		{
			"an object of somebody else", &apply.ConflictError{Object: `ConfigMap "x" in namespace "acme"`}, v1alpha1.ReasonConflict, true, problem.Later,
			`spec.objects[1].template of the class gold: ConfigMap "x" in namespace "acme" exists already and is left as it is; delete or rename it to make room.`,
		},
		{
			"fields that somebody else has set", &apply.FieldsConflictError{Object: `ConfigMap "x" in namespace "acme"`, Fields: []string{".data.a (admin)", ".data.b (flux)"}},
			v1alpha1.ReasonConflict, true, problem.Later,
			`ConfigMap "x" in namespace "acme" is not as spec.objects[1].template of the class gold says, since others have set .data.a (admin), .data.b (flux). Take these out of the class, or delete the object, which is then created anew.`,
		},
		{
			"a quota", apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "x", errors.New("exceeded quota: tenant, requested: configmaps=1, used: configmaps=3, limited: configmaps=3")),
			v1alpha1.ReasonQuotaExceeded, false, problem.Later, "Raise spec.quota, or remove what uses it up.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			found := problem.Of(problem.InObject(path, "gold", test.err))
			if found.Reason != test.reason || found.Stalled != test.stalled || found.Retry != test.retry || !strings.Contains(found.Message, test.message) {
				t.Errorf("it is %+v, want %+v", found, test)
			}
		})
	}
	outdated := apierrors.NewConflict(schema.GroupResource{Resource: "configmaps"}, "x", errors.New("changed"))
	if !problem.Outdated(problem.InObject(path, "gold", outdated)) {
		t.Error("a decision on old data is no longer known as one")
	}
	if problem.InObject(path, "gold", nil) != nil {
		t.Error("without an error there is a problem")
	}
}
