package problem

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tenantry/tenantry/internal/naming"
)

// The API server's messages about requests and limits of containers, and what they mean in terms of the Tenant's
// fields.
var resourceRefusals = []struct {
	text  *regexp.Regexp
	means func(w Workload, details []string) string
}{
	// k8s.io/kubernetes/pkg/apis/core/validation
	{regexp.MustCompile(`Invalid value: "([^"]+)": must be less than or equal to (\S+) limit of ([^\s,\]]+)`), aboveOwnLimit},
	// k8s.io/kubernetes/plugin/pkg/admission/limitranger
	{regexp.MustCompile(`maximum (\S+) usage per Container is ([^\s,]+), but (request|limit) is [^\s,\]]+`), aboveMaximum},
	{regexp.MustCompile(`maximum (\S+) usage per Container is ([^\s,]+)\.  No limit is specified`), withoutLimit},
	{regexp.MustCompile(`minimum \S+ usage per \S+ is|max limit to request ratio per|(?:minimum|maximum) \S+ usage per (?:Pod|PersistentVolumeClaim) is`), ofAnotherLimitRange},
	// k8s.io/kubernetes/pkg/quota/v1/evaluator/core
	{regexp.MustCompile(`failed quota: ([^:]+): must specify (.+)$`), unstated},
}

// inFields returns what to change if the workload's pods are refused because of requests or limits; empty if they are
// refused for another reason.
func (w Workload) inFields(message string) string {
	var advice []string
	for _, refusal := range resourceRefusals {
		for _, details := range refusal.text.FindAllStringSubmatch(message, -1) {
			if means := refusal.means(w, details[1:]); !slices.Contains(advice, means) {
				advice = append(advice, means)
			}
		}
	}
	return strings.Join(advice, " ")
}

func aboveOwnLimit(w Workload, details []string) string {
	value, name, limit := details[0], details[1], details[2]
	return fmt.Sprintf("%[4]s requests %[1]s of %[2]s, and its limit is %[3]s; write a %[5]s.resources.limits.%[2]s of %[1]s or more, "+
		"which is that of spec.containers.default.%[2]s where it is left out, or lower %[5]s.resources.requests.%[2]s.", value, name, limit, w.Subject(), w.Field)
}

func aboveMaximum(w Workload, details []string) string {
	return fmt.Sprintf("Lower %[4]s.resources.%[3]ss.%[1]s to %[2]s or less, or raise spec.containers.max.%[1]s.", details[0], details[1], details[2], w.Field)
}

func withoutLimit(w Workload, details []string) string {
	return fmt.Sprintf("Write a %[3]s.resources.limits.%[1]s of %[2]s or less, since spec.containers.max.%[1]s asks for one.", details[0], details[1], w.Field)
}

func ofAnotherLimitRange(w Workload, _ []string) string {
	return fmt.Sprintf("That is said by a LimitRange which is not the operator's; correct or remove it, or write what it asks for in %s.resources.", w.Field)
}

// unstated means that a quota limits a resource that a container doesn't state, and that has no default.
func unstated(w Workload, details []string) string {
	quota := "spec.quota"
	if details[0] != naming.Quota {
		quota = fmt.Sprintf("The ResourceQuota %s, which is not the operator's,", details[0])
	}
	var ways []string
	for entry := range strings.SplitSeq(details[1], "; ") {
		resource, _, _ := strings.Cut(entry, " for: ")
		name, limited := strings.CutPrefix(resource, "limits.")
		own, all := "limits", "default"
		if !limited {
			own, all, name = "requests", "defaultRequest", strings.TrimPrefix(resource, "requests.")
		}
		ways = append(ways, fmt.Sprintf("%s.resources.%s.%s or spec.containers.%s.%s", w.Field, own, name, all, name))
	}
	return fmt.Sprintf("%s counts what %s doesn't state; write %s.", quota, w.Name, strings.Join(ways, ", and "))
}
