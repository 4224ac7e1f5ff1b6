package parts_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/test/builders"
)

// furnished begins a tenant whose app's pods have all that there is.
func furnished(tenant *builders.TenantBuilder) *builders.TenantBuilder {
	return tenant.Pods(func(pods *v1alpha1.AppPods) {
		pods.Volumes = []v1alpha1.AppVolume{
			{Name: "shared", Storage: &v1alpha1.AppStorage{Size: resource.MustParse("1Gi"), AccessMode: corev1.ReadWriteMany}},
			{Name: "cache", EmptyDir: &v1alpha1.AppEmptyDir{SizeLimit: new(resource.MustParse("64Mi"))}},
			{Name: "branding", ConfigMap: &v1alpha1.AppFiles{Name: "branding", Optional: true, Items: []v1alpha1.AppFile{{Key: "logo", Path: "img/logo.svg"}}}},
			{Name: "keys", Secret: &v1alpha1.AppFiles{Name: "keys"}},
		}
		pods.VolumeMounts = []v1alpha1.AppVolumeMount{{Name: "shared", MountPath: "/data", SubPath: "app"}, {Name: "keys", MountPath: "/keys", ReadOnly: true}}
		pods.InitContainers = []v1alpha1.AppContainer{{
			Name: "prepare", Command: []string{"prepare"}, Env: []corev1.EnvVar{{Name: "GREETING", Value: "first"}}, RunAsUser: 1001,
			VolumeMounts: []v1alpha1.AppVolumeMount{{Name: "cache", MountPath: "/cache"}},
		}}
		pods.Sidecars = []v1alpha1.AppSidecar{{AppContainer: v1alpha1.AppContainer{Name: "proxy", Image: "registry.example/proxy:1"}, StartupProbe: probe()}}
		pods.TerminationGracePeriodSeconds = new(int64(90))
		pods.Rollout = v1alpha1.AppRollout{MaxSurge: new(intstr.FromString("50%"))}
		pods.PodLabels = map[string]string{"mesh.example/inject": "true"}
		pods.PodAnnotations = map[string]string{"scrape.example/port": "9100"}
		pods.ServiceAnnotations = map[string]string{"mesh.example/protocol": "http"}
	})
}

func TestTheFurtherContainersOfAnApp(t *testing.T) {
	in := withDatabase(t, furnished(builders.Tenant("acme").Database("shared").App(image).Port(8080).Env("GREETING", "hello")), server())
	pod := deploymentOf(t, in).Spec.Template.Spec
	if len(pod.InitContainers) != 2 || pod.InitContainers[0].Name != "proxy" || pod.InitContainers[1].Name != "prepare" {
		t.Fatalf("they are %v", pod.InitContainers)
	}
	proxy, prepare := pod.InitContainers[0], pod.InitContainers[1]
	if proxy.RestartPolicy == nil || *proxy.RestartPolicy != corev1.ContainerRestartPolicyAlways || proxy.StartupProbe == nil || proxy.Image != "registry.example/proxy:1" {
		t.Errorf("the sidecar is %+v", proxy)
	}
	if prepare.RestartPolicy != nil || prepare.Image != image || *prepare.SecurityContext.RunAsUser != 1001 {
		t.Errorf("the init container is %+v", prepare)
	}
	variables := map[string]string{}
	for _, variable := range prepare.Env {
		if _, twice := variables[variable.Name]; twice {
			t.Errorf("it has %s twice", variable.Name)
		}
		variables[variable.Name] = variable.Value
	}
	if _, found := variables["DATABASE_URL"]; !found || variables["GREETING"] != "first" {
		t.Errorf("its environment is %v", variables)
	}
	if !slices.ContainsFunc(prepare.VolumeMounts, func(mount corev1.VolumeMount) bool { return mount.Name == "cache" && mount.MountPath == "/cache" }) {
		t.Errorf("it mounts %v", prepare.VolumeMounts)
	}
}

func TestWhatAnAppsPodsUseOfAQuota(t *testing.T) {
	cpu := func(amount string) corev1.ResourceRequirements {
		return corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(amount)}}
	}
	sidecar := func(pods *v1alpha1.AppPods) {
		pods.Sidecars = []v1alpha1.AppSidecar{{AppContainer: v1alpha1.AppContainer{Name: "proxy", Resources: cpu("200m")}}}
	}
	for _, test := range []struct {
		name string
		pods func(*v1alpha1.AppPods)
		room string
	}{
		{"the app alone", func(*v1alpha1.AppPods) {}, ""},
		{"a sidecar beside it", sidecar, "has room for 5"},
		{"an init container that has less, and ends before it starts", func(pods *v1alpha1.AppPods) {
			pods.InitContainers = []v1alpha1.AppContainer{{Name: "prepare", Resources: cpu("100m")}}
		}, ""},
		{"an init container beside a sidecar", func(pods *v1alpha1.AppPods) {
			sidecar(pods)
			pods.InitContainers = []v1alpha1.AppContainer{{Name: "prepare", Resources: cpu("600m")}}
		}, "has room for 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := inputsOf(t, builders.Tenant("acme").Quota(corev1.ResourceRequestsCPU, "1700m").App(image).Request(corev1.ResourceCPU, "100m").MaxReplicas(9).Pods(test.pods))
			deployment := builders.Deployment("acme", "app", 1).Pods(1, 1, 1).Build()
			deployment.Spec.Template = deploymentOf(t, in).Spec.Template
			message := parts.App.State(parts.Observation{Tenant: in.Tenant, Deployment: deployment}).Message
			if limited := strings.Contains(message, "has room for"); limited != (test.room != "") || !strings.Contains(message, test.room) {
				t.Errorf("it is said: %s", message)
			}
		})
	}
}

func TestWhatElseAnAppsPodsHave(t *testing.T) {
	in := inputsOf(t, furnished(builders.Tenant("acme").App(image).Port(8080)))
	deployment := deploymentOf(t, in)
	template := deployment.Spec.Template
	if template.Labels["mesh.example/inject"] != "true" || template.Labels["tenantry.dev/tenant"] != "acme" || template.Annotations["scrape.example/port"] != "9100" {
		t.Errorf("their metadata is %v", template.ObjectMeta)
	}
	if *template.Spec.TerminationGracePeriodSeconds != 90 {
		t.Errorf("they have %d seconds to end", *template.Spec.TerminationGracePeriodSeconds)
	}
	if strategy := deployment.Spec.Strategy; strategy.RollingUpdate == nil || strategy.RollingUpdate.MaxSurge.String() != "50%" || strategy.RollingUpdate.MaxUnavailable != nil {
		t.Errorf("they are replaced by %v", deployment.Spec.Strategy)
	}
	if service := find[*corev1.Service](t, parts.App, in); service.Annotations["mesh.example/protocol"] != "http" {
		t.Errorf("the Service has the annotations %v", service.Annotations)
	}
	volumes := map[string]corev1.VolumeSource{}
	for _, volume := range template.Spec.Volumes {
		volumes[volume.Name] = volume.VolumeSource
	}
	want := map[string]corev1.VolumeSource{
		"shared":   {PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "app-shared"}},
		"cache":    {EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: new(resource.MustParse("64Mi"))}},
		"branding": {ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "branding"}, Optional: new(true), Items: []corev1.KeyToPath{{Key: "logo", Path: "img/logo.svg"}}}},
		"keys":     {Secret: &corev1.SecretVolumeSource{SecretName: "keys"}},
	}
	if !reflect.DeepEqual(volumes, want) {
		t.Errorf("the volumes are %v", volumes)
	}
	if mounts := template.Spec.Containers[0].VolumeMounts; !reflect.DeepEqual(mounts, []corev1.VolumeMount{{Name: "shared", MountPath: "/data", SubPath: "app"}, {Name: "keys", MountPath: "/keys", ReadOnly: true}}) {
		t.Errorf("the app mounts %v", mounts)
	}
}

func TestAPodThatEndsAtOnceSaysGoodbyeForNoLonger(t *testing.T) {
	in := inputsOf(t, builders.Tenant("acme").App(image).Port(8080).Pods(func(pods *v1alpha1.AppPods) { pods.TerminationGracePeriodSeconds = new(int64(2)) }))
	if farewell := containerOf(t, in).Lifecycle.PreStop.Sleep.Seconds; farewell != 2 {
		t.Errorf("it sleeps for %d seconds", farewell)
	}
}

func TestAnAppWithStorageOfOneNodeReplacesItsPodRatherThanWaitForIt(t *testing.T) {
	stored := func(mode corev1.PersistentVolumeAccessMode) parts.Inputs {
		return inputsOf(t, builders.Tenant("acme").App(image).Pods(func(pods *v1alpha1.AppPods) {
			pods.Volumes = []v1alpha1.AppVolume{{Name: "data", Storage: &v1alpha1.AppStorage{Size: resource.MustParse("1Gi"), AccessMode: mode}}}
		}))
	}
	if strategy := deploymentOf(t, stored("")).Spec.Strategy.Type; strategy != appsv1.RecreateDeploymentStrategyType {
		t.Errorf("it is replaced by %q", strategy)
	}
	if strategy := deploymentOf(t, stored(corev1.ReadWriteMany)).Spec.Strategy.Type; strategy != "" {
		t.Errorf("with storage for all it is replaced by %q", strategy)
	}
}

func TestAnAppMayWriteToItsStorage(t *testing.T) {
	group := func(tenant *builders.TenantBuilder, name string) int64 {
		template := findNamed[*appsv1.Deployment](t, parts.App, inputsOf(t, tenant.Worker("mail", 1, "/worker")), name).Spec.Template
		if group := template.Spec.SecurityContext.FSGroup; group != nil {
			return *group
		}
		return 0
	}
	stored := func(mode corev1.PersistentVolumeAccessMode) *builders.TenantBuilder {
		return builders.Tenant("acme").App(image).Pods(func(pods *v1alpha1.AppPods) {
			pods.Volumes = []v1alpha1.AppVolume{{Name: "data", Storage: &v1alpha1.AppStorage{Size: resource.MustParse("1Gi"), AccessMode: mode}}}
		})
	}
	for _, test := range []struct {
		name   string
		tenant *builders.TenantBuilder
		pods   string
		want   int64
	}{
		{"an app with storage", stored(""), "app", 65532},
		{"an app with storage and a group of its own", stored("").RunAs(1000, 2000), "app", 2000},
		{"a worker that doesn't have the storage", stored(""), "mail", 0},
		{"a worker that has it, too", stored(corev1.ReadWriteMany), "mail", 65532},
		{"an app without storage, which an upgrade must not restart", builders.Tenant("acme").App(image), "app", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := group(test.tenant, test.pods); got != test.want {
				t.Errorf("its storage is that of group %d, want %d", got, test.want)
			}
		})
	}
}

func TestWorkersAndRunsHaveTheVolumesButNoFurtherContainers(t *testing.T) {
	in := inputsOf(t, furnished(builders.Tenant("acme").App(image).Port(8080).Worker("mail", 2, "/worker").Schedule("bill", "0 3 * * *", "/bill")))
	in.Tenant.Spec.App.Volumes = append(in.Tenant.Spec.App.Volumes, v1alpha1.AppVolume{Name: "own", Storage: &v1alpha1.AppStorage{AccessMode: corev1.ReadWriteOnce}})
	in.Tenant.Spec.App.VolumeMounts = append(in.Tenant.Spec.App.VolumeMounts, v1alpha1.AppVolumeMount{Name: "own", MountPath: "/own"})
	seen := 0
	for _, object := range parts.App.Objects(in) {
		var template corev1.PodTemplateSpec
		labeled := true
		switch object := object.(type) {
		case *appsv1.Deployment:
			if object.Name == "app" {
				continue
			}
			template = object.Spec.Template
		case *batchv1.CronJob:
			template, labeled = object.Spec.JobTemplate.Spec.Template, false
		default:
			continue
		}
		var volumes, mounts []string
		for _, volume := range template.Spec.Volumes {
			volumes = append(volumes, volume.Name)
		}
		for _, mount := range template.Spec.Containers[0].VolumeMounts {
			mounts = append(mounts, mount.Name)
		}
		if !slices.Equal(volumes, []string{"shared", "cache", "branding", "keys"}) || !slices.Equal(mounts, []string{"shared", "keys"}) {
			t.Errorf("%s has the volumes %v, and mounts %v", object.GetName(), volumes, mounts)
		}
		if len(template.Spec.InitContainers) > 0 || len(template.Spec.TopologySpreadConstraints) > 0 || *template.Spec.TerminationGracePeriodSeconds != 90 {
			t.Errorf("the pods of %s are %+v", object.GetName(), template.Spec)
		}
		if has := template.Labels["mesh.example/inject"] == "true" && template.Annotations["scrape.example/port"] == "9100"; has != labeled {
			t.Errorf("the pods of %s have the metadata %v", object.GetName(), template.ObjectMeta)
		}
		seen++
	}
	if seen != 2 {
		t.Errorf("there are %d of them, and not a worker and a schedule", seen)
	}
}

func TestATenantThatSleepsKeepsItsStorage(t *testing.T) {
	in := inputsOf(t, furnished(builders.Tenant("acme").App(image).Port(8080)))
	in.Asleep = true
	app := deploymentOf(t, in)
	if *app.Spec.Replicas != 0 || !slices.ContainsFunc(app.Spec.Template.Spec.Volumes, func(volume corev1.Volume) bool { return volume.Name == "shared" }) {
		t.Errorf("its app is %+v", app.Spec)
	}
	if claims := parts.Claims(in); len(claims) != 1 || claims[0].Name != "app-shared" {
		t.Errorf("its claims are %v", claims)
	}
}

func TestAMigrationHasItsStorageBeforeTheAppDoes(t *testing.T) {
	in := inputsOf(t, builders.Tenant("acme").App(image))
	in.Release.Next = inputsOf(t, furnished(builders.Tenant("acme").App(image))).Tenant
	if claims := parts.Claims(in); len(claims) != 1 || claims[0].Name != "app-shared" {
		t.Errorf("the claims are %v", claims)
	}
}

func TestAnUpgradeDoesNotRestartAnAppToSpreadItsPods(t *testing.T) {
	spread := func(in parts.Inputs) bool {
		return len(deploymentOf(t, in).Spec.Template.Spec.TopologySpreadConstraints) == 2
	}
	in := inputsOf(t, builders.Tenant("acme").App(image).Replicas(2))
	if !spread(in) {
		t.Error("the pods of a new app are not spread")
	}
	running := deploymentOf(t, in).Spec.Template
	in.Running = &running
	if !spread(in) {
		t.Error("pods that are spread are no longer")
	}
	running.Spec.TopologySpreadConstraints = nil
	if spread(in) {
		t.Error("pods of an earlier version are replaced")
	}
	in.Tenant.Spec.App.Image = "registry.example/acme/shop:1.4.3"
	if !spread(in) {
		t.Error("pods of a new image are not spread")
	}
}

func TestTheStorageOfAnApp(t *testing.T) {
	sized := func(size, class string) parts.Inputs {
		in := inputsOf(t, builders.Tenant("acme").App(image).Pods(func(pods *v1alpha1.AppPods) {
			pods.Volumes = []v1alpha1.AppVolume{{Name: "data", Storage: &v1alpha1.AppStorage{Size: resource.MustParse(size), StorageClassName: class}}}
		}))
		in.Tenant.UID = "uid-of-acme"
		return in
	}
	existing := func(in parts.Inputs, phase corev1.PersistentVolumeClaimPhase) parts.Inputs {
		live := parts.Claims(sized("10Gi", "fast"))[0]
		live.Status.Phase, live.Spec.VolumeName = phase, "pv-1"
		in.Claims = []corev1.PersistentVolumeClaim{*live}
		return in
	}
	for _, test := range []struct {
		name  string
		in    parts.Inputs
		size  string
		unmet string
	}{
		{"a new one", sized("10Gi", ""), "10Gi", ""},
		{"one that grows", existing(sized("20Gi", "fast"), corev1.ClaimBound), "20Gi", ""},
		{"one that is to grow, and is not there yet", existing(sized("20Gi", "fast"), corev1.ClaimPending), "10Gi", ""},
		{"one that is to shrink", existing(sized("5Gi", "fast"), corev1.ClaimBound), "10Gi", "Volume data has 10Gi and can't shrink to 5Gi; write 10Gi or more in spec.app.volumes."},
		{
			"one of another class", existing(sized("10Gi", "slow"), corev1.ClaimBound), "10Gi",
			"The storageClassName of volume data is fast, which is fixed once the volume is there; write that in spec.app.volumes, or give the volume another name and copy the data.",
		},
		{"one that is there when the default changes", preferring(existing(sized("10Gi", ""), corev1.ClaimBound), "slow"), "10Gi", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			claim := parts.Claims(test.in)[0]
			if claim.Name != "app-data" || claim.Namespace != "acme" || claim.Annotations["tenantry.dev/tenant-uid"] != "uid-of-acme" || len(claim.OwnerReferences) > 0 {
				t.Errorf("it is %v", claim.ObjectMeta)
			}
			if got := claim.Spec.Resources.Requests.Storage().String(); got != test.size {
				t.Errorf("it asks for %s, want %s", got, test.size)
			}
			if len(test.in.Claims) > 0 && (claim.Spec.VolumeName != "pv-1" || *claim.Spec.StorageClassName != "fast") {
				t.Errorf("it is another one: %v", claim.Spec)
			}
			said := ""
			if err := parts.ClaimsUnmet(test.in); err != nil {
				said = err.Error()
			}
			if said != test.unmet {
				t.Errorf("it is said %q, want %q", said, test.unmet)
			}
		})
	}
	if class := parts.Claims(preferring(sized("10Gi", ""), "slow"))[0].Spec.StorageClassName; class == nil || *class != "slow" {
		t.Error("a new one does not have the default of the policy")
	}
	if class := parts.Claims(preferring(sized("10Gi", "fast"), "slow"))[0].Spec.StorageClassName; *class != "fast" {
		t.Errorf("a new one has the class %s", *class)
	}
}

// preferring makes a StorageClass the default of the tenant's policy.
func preferring(in parts.Inputs, class string) parts.Inputs {
	in.Tenant.Spec.Policy.StorageClasses = &v1alpha1.ClassRule{Allowed: []string{"fast", class}, Default: class}
	return in
}

func TestStorageThatIsLeftIsNamed(t *testing.T) {
	observation := parts.Observation{
		Tenant: builders.Effective(t, builders.Tenant("acme").App(image).Build()), Deployment: builders.Deployment("acme", "app", 1).Pods(1, 1, 1).Build(),
		Claims: []corev1.PersistentVolumeClaim{{}},
	}
	observation.Claims[0].Name = "app-old"
	if message := parts.App.State(observation).Message; !strings.Contains(message, "PersistentVolumeClaim app-old has data of a volume that spec.app.volumes no longer has") {
		t.Errorf("it is said: %s", message)
	}
}
