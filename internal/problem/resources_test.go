package problem_test

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/tenantry/tenantry/internal/problem"
)

const (
	refusal     = `pods "app-7c9d8b6f5-x2v4k" is forbidden: `
	memoryLimit = "The app requests 1Gi of memory, and its limit is 256Mi; write a spec.app.resources.limits.memory of 1Gi or more, " +
		"which is that of spec.containers.default.memory where it is left out, or lower spec.app.resources.requests.memory."
)

func TestARefusalOfTheAppsPodsNamesFieldsOfTheTenant(t *testing.T) {
	for _, test := range []struct{ name, message, want string }{
		{
			"a request above the default limit",
			`Pod "app-7c9d8b6f5-x2v4k" is invalid: spec.containers[0].resources.requests: Invalid value: "1Gi": must be less than or equal to memory limit of 256Mi`,
			memoryLimit,
		},
		{
			"two requests above their limits",
			`Pod "app-1" is invalid: [spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 500m, spec.containers[0].resources.requests: Invalid value: "1Gi": must be less than or equal to memory limit of 256Mi]`,
			"The app requests 2 of cpu, and its limit is 500m; write a spec.app.resources.limits.cpu of 2 or more, " +
				"which is that of spec.containers.default.cpu where it is left out, or lower spec.app.resources.requests.cpu. " + memoryLimit,
		},
		{
			"a limit above the maximum", refusal + "maximum cpu usage per Container is 4, but limit is 8",
			"Lower spec.app.resources.limits.cpu to 4 or less, or raise spec.containers.max.cpu.",
		},
		{
			"two things above the maximum", refusal + "[maximum cpu usage per Container is 4, but limit is 8, maximum memory usage per Container is 1Gi, but request is 2Gi]",
			"Lower spec.app.resources.limits.cpu to 4 or less, or raise spec.containers.max.cpu. " +
				"Lower spec.app.resources.requests.memory to 1Gi or less, or raise spec.containers.max.memory.",
		},
		{
			"no limit where there is a maximum", refusal + "maximum cpu usage per Container is 4.  No limit is specified",
			"Write a spec.app.resources.limits.cpu of 4 or less, since spec.containers.max.cpu asks for one.",
		},
		{
			"a minimum, which the operator never sets", refusal + "minimum cpu usage per Container is 1, but request is 100m",
			"That is said by a LimitRange which is not the operator's; correct or remove it, or write what it asks for in spec.app.resources.",
		},
		{
			"a bound of whole pods", refusal + "maximum cpu usage per Pod is 1, but limit is 2",
			"That is said by a LimitRange which is not the operator's; correct or remove it, or write what it asks for in spec.app.resources.",
		},
		{
			"what the quota counts and nothing states", refusal + "failed quota: tenant: must specify limits.cpu for: app; memory for: app; requests.cpu for: app,proxy",
			"spec.quota counts what the app doesn't state; write spec.app.resources.limits.cpu or spec.containers.default.cpu, " +
				"and spec.app.resources.requests.memory or spec.containers.defaultRequest.memory, and spec.app.resources.requests.cpu or spec.containers.defaultRequest.cpu.",
		},
		{
			"what another quota counts", refusal + "failed quota: extra: must specify limits.cpu for: app",
			"The ResourceQuota extra, which is not the operator's, counts what the app doesn't state; write spec.app.resources.limits.cpu or spec.containers.default.cpu.",
		},
		{
			"more than another quota leaves", refusal + "exceeded quota: extra, requested: pods=1, used: pods=2, limited: pods=2",
			"Raise the ResourceQuota extra, which is not the operator's, or lower spec.app.resources or spec.app.replicas.",
		},
		{
			"what the tenant's own policy refuses",
			refusal + "ValidatingAdmissionPolicy 'pods.tenantry.dev' with binding 'pods.tenantry.dev' denied request: the image docker.io/library/nginx comes from none of the allowed imageRegistries: registry.example/",
			"Change spec.app so that it complies, or spec.policy so that it allows that.",
		},
		{
			"what a policy of the cluster refuses", refusal + "ValidatingAdmissionPolicy 'digests.example' with binding 'digests' denied request: write a digest",
			"Change spec.app so that it complies, or have the cluster's administrator except the app.",
		},
		{
			"what Pod Security refuses, since something else was put in", refusal + `violates PodSecurity "restricted:latest": privileged (container "proxy" must not be)`,
			"Change spec.app so that it complies, or have what adds to its pods comply, such as an injector of sidecars.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := problem.App.PodsRefused(test.message).Message; !strings.HasSuffix(got, ". "+test.want) {
				t.Errorf("it says\n%q\nwant the end\n%q", got, test.want)
			}
		})
	}
}

func TestADeploymentThatRequestsMoreThanItsLimitNamesFieldsOfTheTenant(t *testing.T) {
	got := problem.Of(apierrors.NewInvalid(schema.GroupKind{Group: "apps", Kind: "Deployment"}, "app", field.ErrorList{
		field.Invalid(field.NewPath("spec", "template", "spec", "containers").Index(0).Child("resources", "requests"), "1Gi", "must be less than or equal to memory limit of 256Mi"),
	}))
	if !got.Stalled || got.Reason != "Invalid" || !strings.HasSuffix(got.Message, ". "+memoryLimit) {
		t.Errorf("it says %+v", got)
	}
}
