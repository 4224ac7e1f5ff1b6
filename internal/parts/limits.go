package parts

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/internal/naming"
)

// limitsRevision changes with what the container of a program gets from the LimitRange, which only applies to pods
// when they are created. It is empty if the container gets nothing, or the change must not restart the app.
func limitsRevision(in Inputs, of program) string {
	limits, found := limitRange(in, in.places()[0]).(*corev1.LimitRange)
	if !found {
		// The LimitRange is removed after the app was put in place, and applies until then.
		limits = in.Limits
	}
	if limits == nil || !restartsApp(limits) {
		return ""
	}
	texts := []string{given(of.resources, limits)}
	for _, container := range further(in, of) {
		texts = append(texts, given(container.Resources, limits))
	}
	return strings.Join(texts, "")
}

// restartsApp reports whether the app restarts when the LimitRange changes.
func restartsApp(limits *corev1.LimitRange) bool {
	return limits.Annotations[naming.AnnotationRestartsApp] == "true"
}

// markChange has the app restart when the LimitRange changes. It leaves out the mark if the one in place has none
// and gives the same: that was made by an earlier version, and an upgrade must not restart the app.
func markChange(in Inputs, limits *corev1.LimitRange) {
	own := corev1.ResourceRequirements{}
	if in.Limits == nil || restartsApp(in.Limits) || given(own, in.Limits) != given(own, limits) {
		limits.Annotations = map[string]string{naming.AnnotationRestartsApp: "true"}
	}
}

// given returns, as text, what a container gets from a LimitRange for the resources that it doesn't state,
// including what the API server derives from it.
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
			// The request of a container with only a limit is the limit.
			if request := requests[name]; !limited && !requested {
				fmt.Fprintf(&text, "requests.%s=%s\n", name, request.String())
			}
		}
	}
	return text.String()
}

// over returns the entries of both lists. Those of above take precedence.
func over(below, above corev1.ResourceList) corev1.ResourceList {
	result := corev1.ResourceList{}
	maps.Copy(result, below)
	maps.Copy(result, above)
	return result
}
