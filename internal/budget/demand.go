package budget

import (
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Refusal is that a ResourceQuota had no room for an object.
type Refusal struct {
	// Of is whose object it was: what makes it tries again, under the same name here.
	Of string
	// Requested is what the object asks for of what the quota lacked, and Used what was in use of that.
	Requested, Used corev1.ResourceList
	// At is when.
	At time.Time
}

// Patience is how long a refusal counts: longer than the controllers of Kubernetes wait before they try
// again, which they do less and less often, and at last every 1000 seconds.
const Patience = 20 * time.Minute

// exceeded is how the API server refuses what a ResourceQuota has no room for
// (k8s.io/apiserver/pkg/admission/plugin/resourcequota).
var exceeded = regexp.MustCompile(`exceeded quota: ([^,]+), requested: (\S+), used: (\S+), limited: \S+$`)

// ParseRefusal reads the API server's words for what the ResourceQuota of that name had no room for.
func ParseRefusal(message, quota string) (requested, used corev1.ResourceList, ok bool) {
	found := exceeded.FindStringSubmatch(message)
	if len(found) == 0 || found[1] != quota {
		return nil, nil, false
	}
	requested, used = parseList(found[2]), parseList(found[3])
	return requested, used, len(requested) > 0
}

// parseList reads a list as the API server writes it; what it can't read it leaves out.
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

// In reports whether what was refused shows in what is used now.
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

// Demand returns what the refusals in a namespace say is Wanted there, and when the last of it was refused. The
// newest counts of what was refused for the same object. It is for the caller to leave out those that are In.
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

// Fits reports whether a request fits what all slices of a tenant leave of its quota.
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
