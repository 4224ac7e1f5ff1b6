package parts

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// beyondQuota says that the highest numbers of replicas that autoscalers may choose don't fit into the tenant's quota,
// beside those that are fixed; empty if they do.
func beyondQuota(o Observation, all []rollout) string {
	var scaled, fixed []rollout
	for _, each := range all {
		switch {
		case each.deployment == nil:
		case each.autoscaling != nil:
			scaled = append(scaled, each)
		default:
			fixed = append(fixed, each)
		}
	}
	switch len(scaled) {
	case 0:
		return ""
	case 1:
		return beyondRoom(o, scaled[0], fixed)
	default:
		return beyondTogether(o, scaled, fixed)
	}
}

// beyondRoom says how many replicas of the one that an autoscaler scales have room.
func beyondRoom(o Observation, scaled rollout, fixed []rollout) string {
	most, limiting := scaled.most(), corev1.ResourceName("")
	pod, others := usedBy(scaled.deployment.Spec.Template.Spec, o.Tenant.Spec.Containers), usedByAll(o, fixed)
	for _, name := range slices.Sorted(maps.Keys(o.Tenant.Spec.Quota)) {
		amount, left := pod[name], o.Tenant.Spec.Quota[name].DeepCopy()
		if amount.Sign() <= 0 {
			continue
		}
		left.Sub(others[name])
		fit := sort.Search(int(most), func(n int) bool {
			more := amount.DeepCopy()
			more.Mul(int64(n) + 1)
			return more.Cmp(left) > 0
		})
		if int32(fit) < most {
			most, limiting = int32(fit), name
		}
	}
	if limiting == "" {
		return ""
	}
	beside, quota := "", o.Tenant.Spec.Quota[limiting]
	if other := others[limiting]; other.Sign() > 0 {
		beside = " beside the other replicas"
	}
	return fmt.Sprintf("%s.autoscaling.maxReplicas is %d, and a quota of %s %s has room for %d%s; lower the first or raise spec.quota.",
		scaled.of.Field, scaled.most(), limiting, quota.String(), most, beside)
}

// beyondTogether says what all replicas would use together, of the entry of the quota that they exceed most.
func beyondTogether(o Observation, scaled, fixed []rollout) string {
	chosen, total := usedByAll(o, scaled), usedByAll(o, slices.Concat(scaled, fixed))
	limiting, worst := corev1.ResourceName(""), 1.0
	for _, name := range slices.Sorted(maps.Keys(o.Tenant.Spec.Quota)) {
		quota, used, ofScaled := o.Tenant.Spec.Quota[name], total[name], chosen[name]
		if ofScaled.Sign() <= 0 || used.Cmp(quota) <= 0 {
			continue
		}
		if share := used.AsApproximateFloat64() / quota.AsApproximateFloat64(); limiting == "" || share > worst {
			limiting, worst = name, share
		}
	}
	if limiting == "" {
		return ""
	}
	var highest []string
	for _, each := range scaled {
		highest = append(highest, fmt.Sprintf("%s.autoscaling.maxReplicas %d", each.of.Field, each.most()))
	}
	used, quota := total[limiting], o.Tenant.Spec.Quota[limiting]
	return fmt.Sprintf("With %s, all replicas together need %s %s, and spec.quota has %s; lower one of these numbers or raise spec.quota.",
		strings.Join(highest, " and "), limiting, used.String(), quota.String())
}

// most returns how many replicas there may be.
func (r rollout) most() int32 {
	if r.autoscaling != nil {
		return r.autoscaling.MaxReplicas
	}
	return r.wanted()
}

// usedByAll returns what the pods use of a quota if there are as many as there may be.
func usedByAll(o Observation, all []rollout) corev1.ResourceList {
	total := corev1.ResourceList{}
	for _, each := range all {
		pods := usedBy(each.deployment.Spec.Template.Spec, o.Tenant.Spec.Containers)
		for name, amount := range pods {
			all := amount.DeepCopy()
			all.Mul(int64(each.most()))
			pods[name] = all
		}
		total = together(total, pods)
	}
	return total
}
