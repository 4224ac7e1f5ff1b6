package budget

import (
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Refusal is a request that the API server refused because a ResourceQuota had no room for it.
type Refusal struct {
	// Of identifies the controller that sent the request. Retries of the same request have the same Of.
	Of string
	// Requested is what the object requests of the resources that the quota lacked, and Used what was in use of them.
	Requested, Used corev1.ResourceList
	// At is the time of the refusal.
	At time.Time
}

// Patience is how long a refusal counts. It is longer than the longest back-off of Kubernetes' controllers, which
// is 1000 seconds.
const Patience = 20 * time.Minute

// exceeded matches the API server's message for a request that a ResourceQuota has no room for
// (k8s.io/apiserver/pkg/admission/plugin/resourcequota).
var exceeded = regexp.MustCompile(`exceeded quota: ([^,]+), requested: (\S+), used: (\S+), limited: \S+$`)

// ParseRefusal parses the API server's message for a request that the ResourceQuota with that name had no room
// for. It returns false for other messages.
func ParseRefusal(message, quota string) (requested, used corev1.ResourceList, ok bool) {
	found := exceeded.FindStringSubmatch(message)
	if len(found) == 0 || found[1] != quota {
		return nil, nil, false
	}
	requested, used = parseList(found[2]), parseList(found[3])
	return requested, used, len(requested) > 0
}

// parseList parses a list of resources in such a message. It skips entries that it can't parse.
func parseList(text string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for entry := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(entry, "=")
		if amount, err := resource.ParseQuantity(value); err == nil && amount.Sign() >= 0 {
			list[corev1.ResourceName(name)] = amount
		}
	}
	return list
}

// In reports whether what is used now includes what was refused.
func (r Refusal) In(used corev1.ResourceList) bool {
	for name, requested := range r.Requested {
		needed, has := r.Used[name].DeepCopy(), used[name]
		needed.Add(requested)
		if needed.Cmp(has) > 0 {
			return false
		}
	}
	return true
}

// Demand returns what is Wanted in a namespace according to its refusals, and the time of the last one. Of several
// refusals of the same request the newest counts. The caller must leave out those that are In what is used.
func Demand(refusals []Refusal, now time.Time) (wanted corev1.ResourceList, at time.Time) {
	type key struct {
		of   string
		name corev1.ResourceName
	}
	newest := map[key]Refusal{}
	for _, refusal := range refusals {
		if now.Sub(refusal.At) >= Patience {
			continue
		}
		if refusal.At.After(at) {
			at = refusal.At
		}
		for name := range refusal.Requested {
			if known, found := newest[key{refusal.Of, name}]; !found || known.At.Before(refusal.At) {
				newest[key{refusal.Of, name}] = refusal
			}
		}
	}
	wanted = corev1.ResourceList{}
	for key, refusal := range newest {
		sum := wanted[key.name]
		sum.Add(refusal.Requested[key.name])
		wanted[key.name] = sum
	}
	return wanted, at
}

// Fits reports whether a request fits into what is unused of a tenant's quota.
func Fits(requested, quota, used corev1.ResourceList) bool {
	for name, amount := range requested {
		limit, limited := quota[name]
		in := used[name].DeepCopy()
		in.Add(amount)
		if limited && in.Cmp(limit) > 0 {
			return false
		}
	}
	return true
}
