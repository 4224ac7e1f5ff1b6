package parts_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/test/builders"
)

func limitsOf(t *testing.T, in parts.Inputs) *corev1.LimitRange {
	t.Helper()
	return find[*corev1.LimitRange](t, parts.Quota, in)
}

// withContainers returns the inputs of the same tenant with other limits.
func withContainers(in parts.Inputs, change func(*v1alpha1.ContainerLimits)) parts.Inputs {
	tenant := *in.Tenant
	tenant.Spec.Containers = tenant.Spec.Containers.DeepCopy()
	change(tenant.Spec.Containers)
	in.Tenant = &tenant
	return in
}

// older returns the LimitRange of a tenant as an older version has created it.
func older(t *testing.T, in parts.Inputs) *corev1.LimitRange {
	t.Helper()
	limits := limitsOf(t, in).DeepCopy()
	delete(limits.Annotations, naming.AnnotationRestartsApp)
	return limits
}

func TestTheAppRestartsWhenWhatItsContainerGetsChangesAndOnlyThen(t *testing.T) {
	tenant := func(change func(*builders.TenantBuilder)) parts.Inputs {
		builder := builders.Tenant("acme").App(image).
			ContainerDefault(corev1.ResourceMemory, "300Mi").ContainerDefaultRequest(corev1.ResourceMemory, "100Mi").ContainerMax(corev1.ResourceMemory, "1Gi")
		change(builder)
		return inputsOf(t, builder)
	}
	settings := func(in parts.Inputs) string {
		return deploymentOf(t, in).Spec.Template.Annotations[naming.AnnotationSettings]
	}
	for _, test := range []struct {
		name    string
		was, is func(*builders.TenantBuilder)
		to      bool
	}{
		{name: "nothing", is: func(*builders.TenantBuilder) {}},
		{name: "the default limit", is: func(b *builders.TenantBuilder) { b.ContainerDefault(corev1.ResourceMemory, "400Mi") }, to: true},
		{name: "the default request", is: func(b *builders.TenantBuilder) { b.ContainerDefaultRequest(corev1.ResourceMemory, "50Mi") }, to: true},
		{name: "the maximum, where there is a default", is: func(b *builders.TenantBuilder) { b.ContainerMax(corev1.ResourceMemory, "2Gi") }},
		{name: "a maximum that is the default", is: func(b *builders.TenantBuilder) { b.ContainerMax(corev1.ResourceCPU, "2") }, to: true},
		{
			name: "a limit that the app states itself",
			was:  func(b *builders.TenantBuilder) { b.Limit(corev1.ResourceMemory, "200Mi") },
			is: func(b *builders.TenantBuilder) {
				b.Limit(corev1.ResourceMemory, "200Mi").ContainerDefault(corev1.ResourceMemory, "400Mi").ContainerDefaultRequest(corev1.ResourceMemory, "50Mi")
			},
		},
		{
			name: "a limit beside the request that the app states itself",
			was:  func(b *builders.TenantBuilder) { b.Request(corev1.ResourceMemory, "200Mi") },
			is: func(b *builders.TenantBuilder) {
				b.Request(corev1.ResourceMemory, "200Mi").ContainerDefault(corev1.ResourceMemory, "400Mi")
			},
			to: true,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.was == nil {
				test.was = func(*builders.TenantBuilder) {}
			}
			was, is := tenant(test.was), tenant(test.is)
			is.Limits = limitsOf(t, was)
			if restarts := settings(was) != settings(is); restarts != test.to {
				t.Errorf("the app restarts: %t, want %t", restarts, test.to)
			}
		})
	}
}

func TestALimitRangeThatGoesRestartsTheAppOnceItIsGone(t *testing.T) {
	with := inputsOf(t, builders.Tenant("acme").App(image).ContainerDefault(corev1.ResourceMemory, "300Mi"))
	settings := func(in parts.Inputs) string {
		return deploymentOf(t, in).Spec.Template.Annotations[naming.AnnotationSettings]
	}
	before := settings(with)
	without := withContainers(with, func(containers *v1alpha1.ContainerLimits) { *containers = v1alpha1.ContainerLimits{} })
	without.Limits = limitsOf(t, with)
	if settings(without) != before {
		t.Error("it restarts while the LimitRange still gives what it gave")
	}
	without.Limits = nil
	if settings(without) == before {
		t.Error("it goes on with what it was given")
	}
}

func TestAnUpgradeNeitherRestartsAppsNorWritesLimits(t *testing.T) {
	in := inputsOf(t, builders.Tenant("acme").App(image).ContainerDefault(corev1.ResourceMemory, "300Mi"))
	settings := func(in parts.Inputs) string {
		return deploymentOf(t, in).Spec.Template.Annotations[naming.AnnotationSettings]
	}
	fresh := settings(in)
	in.Limits = older(t, in)
	if len(limitsOf(t, in).Annotations) > 0 {
		t.Errorf("the LimitRange would be written, with %v", limitsOf(t, in).Annotations)
	}
	upgraded := settings(in)
	if upgraded == fresh {
		t.Error("the app's settings are those of a new tenant")
	}
	other := inputsOf(t, builders.Tenant("acme").App(image))
	other.Limits = older(t, other)
	if settings(other) != upgraded {
		t.Error("limits are part of settings that were made before they were")
	}

	in = withContainers(in, func(containers *v1alpha1.ContainerLimits) {
		containers.Default[corev1.ResourceMemory] = resource.MustParse("400Mi")
	})
	changed := limitsOf(t, in)
	if changed.Annotations[naming.AnnotationRestartsApp] != "true" || settings(in) == upgraded {
		t.Error("a change that comes after the upgrade doesn't restart the app")
	}
	after := settings(in)
	in.Limits = changed
	if settings(in) != after {
		t.Error("once it is in place, it restarts the app again")
	}
}
