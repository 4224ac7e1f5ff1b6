package parts

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/internal/naming"
)

// limitsRevision changes with what the app's container gets from the LimitRange, which is given to pods
// when they are created and not later. It is empty where that is nothing, or not to restart the app.
func limitsRevision(in Inputs) string {
	limits, found := limitRange(in, in.places()[0]).(*corev1.LimitRange)
	if !found {
		// It is taken away after the app was put in place, and until then gives what it gave.
		limits = in.Limits
	}
	if limits == nil || !restartsApp(limits) {
		return ""
	}
	return given(in.Tenant.Spec.App.Resources, limits)
}

// restartsApp says whether a LimitRange restarts the app when it changes.
func restartsApp(limits *corev1.LimitRange) bool {
	return limits.Annotations[naming.AnnotationRestartsApp] == "true"
}

// markChange makes a LimitRange restart the app, unless the one that is in place gives the same and
// doesn't do so: it is older than that rule, and the app is not to restart just because of an upgrade.
func markChange(in Inputs, limits *corev1.LimitRange) {
	own := corev1.ResourceRequirements{}
	if in.Limits == nil || restartsApp(in.Limits) || given(own, in.Limits) != given(own, limits) {
		limits.Annotations = map[string]string{naming.AnnotationRestartsApp: "true"}
	}
}

// given is what a container gets from a LimitRange for the resources that it doesn't state itself, as
// text. What the LimitRange leaves out itself, the API server fills in.
func given(own corev1.ResourceRequirements, bounds *corev1.LimitRange) string {
	var text strings.Builder
	for _, item := range bounds.Spec.Limits {
		limits := over(item.Max, item.Default)
		requests := over(limits, item.DefaultRequest)
		for _, name := range slices.Sorted(maps.Keys(requests)) {
			_, limited := own.Limits[name]
			_, requested := own.Requests[name]
			if limit, found := limits[name]; found && !limited {
				fmt.Fprintf(&text, "limits.%s=%s\n", name, limit.String())
			}
			// A container that states a limit and no request requests its limit.
			if request := requests[name]; !limited && !requested {
				fmt.Fprintf(&text, "requests.%s=%s\n", name, request.String())
			}
		}
	}
	return text.String()
}

// over is one list over another one.
func over(below, above corev1.ResourceList) corev1.ResourceList {
	result := corev1.ResourceList{}
	maps.Copy(result, below)
	maps.Copy(result, above)
	return result
}
