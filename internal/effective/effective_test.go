package effective_test

import (
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/test/builders"
)

const image = "registry.example/shop:1"

// writtenOut begins a tenant that states all defaults explicitly.
func writtenOut() *builders.TenantBuilder {
	return builders.Tenant("acme").NamespaceLimit(1).
		ContainerDefault(corev1.ResourceCPU, "500m").ContainerDefault(corev1.ResourceMemory, "256Mi").
		ContainerDefaultRequest(corev1.ResourceCPU, "100m").ContainerDefaultRequest(corev1.ResourceMemory, "128Mi").
		PodSecurity(v1alpha1.PodSecurityRestricted).
		Policy(func(rules *v1alpha1.PolicyRules) {
			rules.Enforcement = v1alpha1.PolicyEnforce
			rules.ServiceTypes = []corev1.ServiceType{corev1.ServiceTypeClusterIP}
			rules.MaxTokenLifetime = &metav1.Duration{Duration: 24 * time.Hour}
		})
}

// withDatabase adds a database that states all its defaults explicitly.
func withDatabase(tenant *builders.TenantBuilder) *builders.TenantBuilder {
	return tenant.Database("shared").Isolation(v1alpha1.DatabaseIsolationDatabase).
		SharedTables(v1alpha1.SharedTablesUse).ReclaimPolicy(v1alpha1.ReclaimPolicyRetain).
		ConnectionLimit(20).DatabaseSecret("database").Rotation(0, time.Hour)
}

func sized(server *v1alpha1.DedicatedServer) { server.Storage = new(resource.MustParse("10Gi")) }

// probe connects to a port.
func probe(port intstr.IntOrString, periodSeconds, failureThreshold int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: port}},
		PeriodSeconds: periodSeconds, FailureThreshold: failureThreshold,
	}
}

// beside states the defaults of a migration and a schedule.
func beside(tenant *builders.TenantBuilder) *builders.TenantBuilder {
	return tenant.Workloads(func(app *v1alpha1.TenantApp) {
		app.Migration.ActiveDeadlineSeconds, app.Migration.BackoffLimit, app.Migration.Resources = new(int64(1800)), new(int32(2)), app.Resources
		schedule := &app.Schedules[0]
		schedule.TimeZone, schedule.ConcurrencyPolicy = "UTC", batchv1.ForbidConcurrent
		schedule.StartingDeadlineSeconds, schedule.BackoffLimit = new(int64(300)), new(int32(2))
	})
}

func TestWhatIsLeftOutIsBuiltIn(t *testing.T) {
	for _, test := range []struct {
		name              string
		silent, effective *builders.TenantBuilder
	}{
		{"nothing said", builders.Tenant("acme"), writtenOut()},
		{"a database", builders.Tenant("acme").Database("shared"), withDatabase(writtenOut())},
		{
			"a database wherever there is room",
			builders.Tenant("acme").DatabaseSelector("region", "eu"),
			withDatabase(writtenOut()).DatabaseSelector("region", "eu").Database(""),
		},
		{
			"a server of the tenant's own", builders.Tenant("acme").Dedicated(sized),
			withDatabase(writtenOut()).Database("").Dedicated(func(server *v1alpha1.DedicatedServer) {
				sized(server)
				server.Instances, server.Version = 1, "18"
			}),
		},
		{"an app", builders.Tenant("acme").App(image), writtenOut().App(image).Replicas(1).Reload(v1alpha1.ReloadRestart)},
		{
			"what runs beside the app", builders.Tenant("acme").App(image).Limit(corev1.ResourceMemory, "1Gi").Migration("/m").Schedule("bill", "@daily", "/b"),
			beside(writtenOut().App(image).Replicas(1).Reload(v1alpha1.ReloadRestart).Limit(corev1.ResourceMemory, "1Gi").Migration("/m").Schedule("bill", "@daily", "/b")),
		},
		{
			"an app that serves", builders.Tenant("acme").App(image).Port(8080),
			writtenOut().App(image).Replicas(1).Reload(v1alpha1.ReloadRestart).Port(8080).Probes(nil, probe(intstr.FromInt32(8080), 5, 0), nil),
		},
		{
			"an app that may hang", builders.Tenant("acme").App(image).Probes(probe(intstr.FromString("http"), 10, 3), nil, nil),
			writtenOut().App(image).Replicas(1).Reload(v1alpha1.ReloadRestart).Probes(probe(intstr.FromString("http"), 10, 3), nil, probe(intstr.FromString("http"), 5, 60)),
		},
		{
			"an app that scales", builders.Tenant("acme").App(image).MaxReplicas(5),
			writtenOut().App(image).Reload(v1alpha1.ReloadRestart).Autoscaling(1, 5, autoscalingv2.MetricSpec{
				Type: autoscalingv2.ResourceMetricSourceType,
				Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{
					Type: autoscalingv2.UtilizationMetricType, AverageUtilization: new(int32(80)),
				}},
			}),
		},
		{
			"a worker that scales", builders.Tenant("acme").App(image).ScaledWorker("mail", 5, "/worker").Worker("pdf", 1, "/pdf"),
			writtenOut().App(image).Replicas(1).Reload(v1alpha1.ReloadRestart).ScaledWorker("mail", 5, "/worker").Worker("pdf", 1, "/pdf").Workloads(func(app *v1alpha1.TenantApp) {
				app.Workers[0].Autoscaling.MinReplicas = new(int32(1))
				app.Workers[0].Autoscaling.Metrics = []autoscalingv2.MetricSpec{{
					Type: autoscalingv2.ResourceMetricSourceType,
					Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{
						Type: autoscalingv2.UtilizationMetricType, AverageUtilization: new(int32(80)),
					}},
				}}
			}),
		},
		{
			"a schedule of its sleep", builders.Tenant("acme").Hibernation(v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{{Sleep: "0 20 * * *", Wake: "0 7 * * *"}}}),
			writtenOut().Hibernation(v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{{Sleep: "0 20 * * *", Wake: "0 7 * * *", TimeZone: "UTC"}}}),
		},
		{
			"a rotation", builders.Tenant("acme").Database("shared").Rotate(24 * time.Hour),
			withDatabase(writtenOut()).Rotation(24*time.Hour, time.Hour),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := v1alpha1.TenantSpec(builders.Effective(t, test.silent.Build()).Spec)
			want := test.effective.Build().Spec
			if !equality.Semantic.DeepEqual(got, want) {
				t.Errorf("the effective spec is not what was to be expected:\n%s", diff.Diff(want, got))
			}
			if again := v1alpha1.TenantSpec(builders.Effective(t, test.effective.Build()).Spec); !equality.Semantic.DeepEqual(again, want) {
				t.Errorf("that of a tenant that writes it out is another one:\n%s", diff.Diff(want, again))
			}
		})
	}
}

func TestWhatATenantSaysCounts(t *testing.T) {
	written := builders.Tenant("acme").DisplayName("Acme").Owner(v1alpha1.OwnerKindUser, "alice", v1alpha1.OwnerRoleAdmin).
		NamespaceLimit(3).Quota(corev1.ResourcePods, "5").ContainerMax(corev1.ResourceCPU, "2").
		Egress(networkingv1.NetworkPolicyEgressRule{}).
		PodSecurity(v1alpha1.PodSecurityBaseline).
		Policy(func(rules *v1alpha1.PolicyRules) {
			rules.Enforcement = v1alpha1.PolicyAudit
			rules.ServiceTypes = []corev1.ServiceType{corev1.ServiceTypeNodePort}
			rules.StorageClasses = &v1alpha1.ClassRule{}
			rules.MaxTokenLifetime = &metav1.Duration{Duration: time.Hour}
		}).
		Isolation(v1alpha1.DatabaseIsolationRow).Database("shared").ManagesTables().ConnectionLimit(7).
		ReclaimPolicy(v1alpha1.ReclaimPolicyDelete).DatabaseSecret("login").Rotation(time.Hour, 0).
		App(image).Replicas(0).Reload(v1alpha1.ReloadWatch).Config("A", "b").Cordoned().DeletionProtection()
	for _, test := range []struct {
		name   string
		tenant *builders.TenantBuilder
	}{
		{"all there is", written},
		{"no container limits, and a grace period of zero", writtenOut().NoContainerLimits()},
		{"a maximum alone, without defaults beside it", writtenOut().NoContainerLimits().ContainerMax(corev1.ResourceCPU, "2")},
		{
			"another server of its own", withDatabase(writtenOut()).Database("").Dedicated(func(server *v1alpha1.DedicatedServer) {
				sized(server)
				server.Instances, server.Version = 3, "16.4"
			}),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, want := v1alpha1.TenantSpec(builders.Effective(t, test.tenant.Build()).Spec), test.tenant.Build().Spec
			if !equality.Semantic.DeepEqual(got, want) {
				t.Errorf("it became another one:\n%s", diff.Diff(want, got))
			}
		})
	}
}

func TestTheTenantStaysAsItWasWritten(t *testing.T) {
	tenant := builders.Stored(t, builders.Tenant("acme").Dedicated(sized).App(image).Build())
	before := tenant.DeepCopy()
	made := effective.Of(tenant)
	made.Spec.Database.Dedicated.Instances = 9
	made.Spec.Containers.Default[corev1.ResourceCPU] = resource.MustParse("9")
	if !equality.Semantic.DeepEqual(tenant, before) {
		t.Errorf("it was changed:\n%s", diff.Diff(before, tenant))
	}
	if next := effective.Of(tenant).Spec.Containers.Default[corev1.ResourceCPU]; next.String() != "500m" {
		t.Errorf("the next tenant's containers get %s", next.String())
	}
	if made.Name != "acme" || made.UID != tenant.UID || made.Generation != tenant.Generation ||
		!equality.Semantic.DeepEqual(made.Status, tenant.Status) {
		t.Errorf("metadata and status are not those of the Tenant: %+v", made)
	}
}

func TestWhatATenantCanNotDoWithout(t *testing.T) {
	for _, test := range []struct {
		name          string
		tenant        *builders.TenantBuilder
		database, app string
	}{
		{"nothing asked for", builders.Tenant("acme"), "", ""},
		{"a server named", builders.Tenant("acme").Database("shared"), "", ""},
		{"a server to be chosen", builders.Tenant("acme").DatabaseSelector("region", "eu"), "", ""},
		{"a server of its own", builders.Tenant("acme").Dedicated(sized), "", ""},
		{"an app", builders.Tenant("acme").App(image), "", ""},
		{
			"a database without a server", builders.Tenant("acme").ConnectionLimit(5),
			"The database needs a server; name one in spec.database.serverRef, or write in spec.database.serverSelector which labels it must have.", "",
		},
		{
			"a server of its own without a size", builders.Tenant("acme").Dedicated(func(*v1alpha1.DedicatedServer) {}),
			"The tenant's own database server needs a size; write one such as 10Gi in spec.database.dedicated.storage.", "",
		},
		{
			"a server of its own, and no word about it", builders.Tenant("acme").Isolation(v1alpha1.DatabaseIsolationDedicated),
			"The tenant's own database server needs a size; write one such as 10Gi in spec.database.dedicated.storage.", "",
		},
		{
			"an app without an image", builders.Tenant("acme").Port(8080),
			"", "The app needs an image; write one such as registry.example/shop:1 in spec.app.image.",
		},
		{
			"a worker that scales without end", builders.Tenant("acme").App(image).ScaledWorker("mail", 0, "/worker"),
			"", "The autoscaling of the worker mail needs the highest number of pods; write it in spec.app.workers[mail].autoscaling.maxReplicas.",
		},
		{
			"an init container without its volume", builders.Tenant("acme").App(image).Pods(func(pods *v1alpha1.AppPods) {
				pods.Volumes = []v1alpha1.AppVolume{{Name: "cache", EmptyDir: &v1alpha1.AppEmptyDir{}}}
				pods.InitContainers = []v1alpha1.AppContainer{
					{Name: "first", VolumeMounts: []v1alpha1.AppVolumeMount{{Name: "cache", MountPath: "/cache"}}},
					{Name: "second", VolumeMounts: []v1alpha1.AppVolumeMount{{Name: "data", MountPath: "/data"}}},
				}
			}),
			"", "The container second mounts the volume data, which is not there; add it to spec.app.volumes.",
		},
		{
			"a sidecar with the name of an init container", builders.Tenant("acme").App(image).Pods(func(pods *v1alpha1.AppPods) {
				pods.InitContainers = []v1alpha1.AppContainer{{Name: "proxy"}}
				pods.Sidecars = []v1alpha1.AppSidecar{{AppContainer: v1alpha1.AppContainer{Name: "proxy"}}}
			}),
			"", "The sidecar proxy needs a name of its own, since an init container has it; write another one in spec.app.sidecars or spec.app.initContainers.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			spec := builders.Effective(t, test.tenant.Build()).Spec
			if got := sentence(spec.MissingForDatabase()); got != test.database {
				t.Errorf("for the database %q is said, want %q", got, test.database)
			}
			if got := sentence(spec.MissingForApp()); got != test.app {
				t.Errorf("for the app %q is said, want %q", got, test.app)
			}
		})
	}
}

func sentence(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestATenantAtAnotherReleaseKeepsWhatScalesItsWorkers(t *testing.T) {
	fixed := effective.Of(builders.Tenant("acme").App(image).Worker("mail", 2, "/worker").Build())
	scaled := effective.Of(builders.Tenant("acme").App(image).ScaledWorker("mail", 5, "/worker").Build())
	if worker := scaled.At(fixed.Spec.App, nil).Spec.App.Workers[0]; worker.Replicas != nil || worker.Autoscaling == nil || worker.Autoscaling.MaxReplicas != 5 {
		t.Errorf("one that scales now has replicas %v and autoscaling %v", worker.Replicas, worker.Autoscaling)
	}
	if worker := fixed.At(scaled.Spec.App, nil).Spec.App.Workers[0]; worker.Autoscaling != nil || *worker.Replicas != 2 {
		t.Errorf("one that scaled has replicas %v and autoscaling %v", worker.Replicas, worker.Autoscaling)
	}
}

func TestATenantAtAnotherReleaseKeepsItsReplicas(t *testing.T) {
	former := effective.Of(builders.Tenant("acme").Config("A", "old").App("registry.example/shop:0").Replicas(2).Worker("mail", 1, "/old").Worker("gone", 4, "/gone").Build())
	next := effective.Of(builders.Tenant("acme").Config("A", "new").App(image).Replicas(5).Worker("mail", 3, "/new").DisplayName("Acme").Build())
	at := next.At(former.Spec.App, former.Spec.Config)
	app := at.Spec.App
	if app.Image != "registry.example/shop:0" || *app.Replicas != 5 || *app.Workers[0].Replicas != 3 || app.Workers[0].Command[0] != "/old" || *app.Workers[1].Replicas != 4 {
		t.Errorf("the app is %+v", app)
	}
	if at.Spec.Config["A"] != "old" || at.Spec.DisplayName != "Acme" || *former.Spec.App.Replicas != 2 || next.Spec.App.Image != image {
		t.Errorf("the rest is %+v, or one of the two was changed", at.Spec)
	}
}
