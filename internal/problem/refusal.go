package problem

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
)

// refuser is the part of the API server that refuses a request. All of them answer "forbidden".
type refuser int

const (
	// nobody means that the request isn't refused, or by none of those below.
	nobody refuser = iota
	// rbac means that the operator lacks a right.
	rbac
	// quota means that a ResourceQuota is used up.
	quota
	// uncounted means that the use of a new ResourceQuota was not counted yet.
	uncounted
	// podSecurity is the namespace's Pod Security Standard.
	podSecurity
	// policy is a ValidatingAdmissionPolicy or MutatingAdmissionPolicy.
	policy
	// webhook is an admission webhook.
	webhook
)

// Only these texts of Kubernetes distinguish the refusers.
var refusers = []struct {
	refuser refuser
	text    *regexp.Regexp
}{
	// k8s.io/apiserver/pkg/admission/plugin/resourcequota
	{quota, regexp.MustCompile(`exceeded quota: ([^,]+), (.*)$`)},
	{uncounted, regexp.MustCompile(`status unknown for quota: ([^,]+)`)},
	// k8s.io/pod-security-admission/admission
	{podSecurity, regexp.MustCompile(`violates PodSecurity "([^"]+)": (.*)$`)},
	// k8s.io/apiserver/pkg/admission/plugin/policy
	{policy, regexp.MustCompile(`(?s)(?:ValidatingAdmissionPolicy|policy) ['"]([^'"]+)['"](?: with binding '[^']+')? denied request: (.*)$`)},
	// k8s.io/apiserver/pkg/admission/plugin/webhook/errors
	{webhook, regexp.MustCompile(`(?s)admission webhook "([^"]+)" denied the request(?:: (.*)| without explanation)$`)},
	// k8s.io/apiserver/pkg/endpoints/handlers/responsewriters
	{rbac, regexp.MustCompile(`(?s)(User "([^"]+)" cannot .*)$`)},
}

// refusedBy returns what refused a request, according to the text of the answer, and the details in that text.
func refusedBy(message string) (by refuser, details []string) {
	for _, known := range refusers {
		if found := known.text.FindStringSubmatch(message); found != nil {
			return known.refuser, found[1:]
		}
	}
	return nobody, nil
}

// refusalOf returns what a refusal of the API server means, and which part of it refused the request; nobody if
// that is unknown.
func refusalOf(err error) (Problem, refuser) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return Problem{}, nobody
	}
	message := status.Status().Message
	by, details := refusedBy(message)
	object, _, _ := strings.Cut(message, " is forbidden: ")
	switch by {
	case quota:
		return quotaExceeded(object, details[0], details[1]), by
	case uncounted:
		return temporary(v1alpha1.ReasonProgressing, WithBackoff, "It waits until the cluster has counted what the quota %s is about.", details[0]), by
	case podSecurity:
		return podSecurityViolated(object, details[0], details[1]), by
	case policy:
		return policyDenied("admission policy", object, details[0], details[1]), by
	case webhook:
		return policyDenied("admission webhook", object, details[0], details[1]), by
	case rbac:
		return rightMissing(details[0]), by
	default:
		return Problem{}, nobody
	}
}

// quotaExceeded means that a ResourceQuota has no room for an object.
func quotaExceeded(object, name, numbers string) Problem {
	remedy := fmt.Sprintf("Raise or remove the ResourceQuota %s, which is not the operator's, or remove what uses it up.", name)
	if name == naming.Quota {
		remedy = "Raise spec.quota, or remove what uses it up."
	}
	return temporary(v1alpha1.ReasonQuotaExceeded, Later, "The quota leaves no room for %s: %s. %s", object, numbers, remedy)
}

func podSecurityViolated(object, level, violations string) Problem {
	return stalled(v1alpha1.ReasonForbidden, Later,
		"Pod Security refuses %s, since it violates the standard %s: %s. Correct it, or lower spec.policy.podSecurity, if its pods may have that.", object, level, strings.TrimSuffix(violations, "."))
}

func policyDenied(kind, object, name, why string) Problem {
	if why == "" {
		why = "it gives no reason"
	}
	return stalled(v1alpha1.ReasonForbidden, Later,
		"The %s %s of this cluster refuses %s: %s. Change the spec so that it complies, or have the cluster's administrator except the object.",
		kind, name, object, strings.TrimSuffix(why, "."))
}

func rightMissing(what string) Problem {
	return temporary(v1alpha1.ReasonForbidden, WithBackoff,
		"The operator lacks a right: %s. Install the operator's ClusterRole anew, of the operator's own version, or give the ServiceAccount %s in namespace %s that right.",
		strings.TrimSuffix(what, "."), naming.Manager, naming.ManagerNamespace)
}

// orElse returns the alternative remedy if the app is refused: changing what refuses it.
func orElse(by refuser, name string) string {
	switch {
	case by == podSecurity:
		return "have what adds to its pods comply, such as an injector of sidecars"
	case strings.HasSuffix(name, "."+v1alpha1.GroupVersion.Group):
		return "spec.policy so that it allows that"
	default:
		return "have the cluster's administrator except the app"
	}
}
