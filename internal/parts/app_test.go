package parts_test

import (
	"maps"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/test/builders"
)

func deploymentOf(t *testing.T, in parts.Inputs) *appsv1.Deployment {
	t.Helper()
	return findNamed[*appsv1.Deployment](t, parts.App, in, naming.App)
}

func containerOf(t *testing.T, in parts.Inputs) corev1.Container {
	t.Helper()
	containers := deploymentOf(t, in).Spec.Template.Spec.Containers
	if len(containers) != 1 {
		t.Fatalf("the app has %d containers, not one", len(containers))
	}
	return containers[0]
}

func TestTheAppsPodsMeetTheRestrictedStandardWhateverTheNamespaceAllows(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		in   parts.Inputs
	}{
		{"an image alone", inputsOf(t, builders.Tenant("acme").App(image))},
		{"in a privileged namespace", inputsOf(t, builders.Tenant("acme").App(image).PodSecurity(v1alpha1.PodSecurityPrivileged))},
		{"everything", everything(t, "acme")},
		{"everything in its pods", inputsOf(t, furnished(builders.Tenant("acme").App(image).Port(8080)))},
	} {
		t.Run(test.name, func(t *testing.T) {
			template := deploymentOf(t, test.in).Spec.Template
			for _, version := range []podsecurity.Version{podsecurity.MajorMinorVersion(1, 25), podsecurity.LatestVersion()} {
				result := policy.AggregateCheckResults(evaluator.EvaluatePod(
					podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: version}, &template.ObjectMeta, &template.Spec))
				if !result.Allowed {
					t.Errorf("at %s: %s", version.String(), result.ForbiddenDetail())
				}
			}
		})
	}
}

func TestTheAppHasNoWayToTheAPIServer(t *testing.T) {
	in := everything(t, "acme")
	account := find[*corev1.ServiceAccount](t, parts.App, in)
	pod := deploymentOf(t, in).Spec.Template.Spec
	if pod.ServiceAccountName != account.Name {
		t.Errorf("the pods run as %q, not %q", pod.ServiceAccountName, account.Name)
	}
	for what, automount := range map[string]*bool{
		"ServiceAccount": account.AutomountServiceAccountToken, "pod": pod.AutomountServiceAccountToken,
	} {
		if automount == nil || *automount {
			t.Errorf("the %s mounts a token", what)
		}
	}
}

func TestTheApp(t *testing.T) {
	in := everything(t, "acme")
	deployment, container := deploymentOf(t, in), containerOf(t, in)
	spec := in.Tenant.Spec.App
	if *deployment.Spec.Replicas != 3 {
		t.Errorf("it has %d replicas, want 3", *deployment.Spec.Replicas)
	}
	if container.Image != image || !slices.Equal(container.Command, spec.Command) || !slices.Equal(container.Args, spec.Args) {
		t.Errorf("it runs %q %q %q", container.Image, container.Command, container.Args)
	}
	if container.Resources.Requests.Cpu().String() != "100m" || container.Resources.Limits.Memory().String() != "256Mi" {
		t.Errorf("its resources are %v", container.Resources)
	}
	if container.LivenessProbe == nil || container.ReadinessProbe == nil || container.StartupProbe == nil {
		t.Error("it lacks a probe")
	}
	if len(container.Ports) != 1 || container.Ports[0].ContainerPort != 8080 || container.Ports[0].Name != "http" {
		t.Errorf("its ports are %v", container.Ports)
	}
}

func TestAnAppWaitsForItsFirstDatabase(t *testing.T) {
	in := everything(t, "acme")
	has := func() bool {
		return slices.ContainsFunc(parts.App.Objects(in), func(object desired.Object) bool {
			_, is := object.(*appsv1.Deployment)
			return is
		})
	}
	in.Unplaced = true
	if has() {
		t.Error("it starts before its database is there")
	}
	in.Unplaced = false
	if !has() {
		t.Error("it doesn't start")
	}
}

func TestAnAppRunsAsTheUserAndGroupOfTheSpec(t *testing.T) {
	context := deploymentOf(t, inputsOf(t, builders.Tenant("acme").App(image).RunAs(1000, 2000))).Spec.Template.Spec.SecurityContext
	if *context.RunAsUser != 1000 || *context.RunAsGroup != 2000 || !*context.RunAsNonRoot {
		t.Errorf("its security context is %v", context)
	}
}

func TestAnAppThatServesEndsLaterThanItsPod(t *testing.T) {
	served := deploymentOf(t, inputsOf(t, builders.Tenant("acme").App(image).Port(8080))).Spec.Template.Spec.Containers[0]
	if served.Lifecycle == nil || served.Lifecycle.PreStop.Sleep.Seconds != 5 {
		t.Errorf("its lifecycle is %v", served.Lifecycle)
	}
	if silent := deploymentOf(t, inputsOf(t, builders.Tenant("acme").App(image))).Spec.Template.Spec.Containers[0]; silent.Lifecycle != nil {
		t.Errorf("the lifecycle of an app without a port is %v", silent.Lifecycle)
	}
}

func TestReplicasThatTheSpecLeavesOutAreOne(t *testing.T) {
	in := inputsOf(t, builders.Tenant("acme").App(image))
	if replicas := deploymentOf(t, in).Spec.Replicas; replicas == nil || *replicas != 1 {
		t.Errorf("it has %v replicas, want 1", replicas)
	}
}

func TestAnAutoscalerHasTheSayOverReplicas(t *testing.T) {
	in := inputsOf(t, builders.Tenant("acme").App(image).Replicas(1))
	in.Autoscaled = sets.New("app")
	if replicas := deploymentOf(t, in).Spec.Replicas; replicas != nil {
		t.Errorf("the Deployment insists on %d replicas", *replicas)
	}
	if keep := desired.OwningOf(deploymentOf(t, in)).Keep; !slices.ContainsFunc(keep, func(path []string) bool {
		return slices.Equal(path, []string{"spec", "replicas"})
	}) {
		t.Errorf("what the number of replicas was would not stay; that goes for %v only", keep)
	}
	find[*policyv1.PodDisruptionBudget](t, parts.App, in)
}

func TestSecretsForRegistriesReachThePods(t *testing.T) {
	in := inputsOf(t, builders.Tenant("acme").App(image).ImagePullSecrets("registry", "mirror"))
	want := []corev1.LocalObjectReference{{Name: "registry"}, {Name: "mirror"}}
	if got := deploymentOf(t, in).Spec.Template.Spec.ImagePullSecrets; !slices.Equal(got, want) {
		t.Errorf("the pods have %v, want %v", got, want)
	}
}

func TestWhatRunsIsOwnedByItsFieldsAndAllElseAsAWhole(t *testing.T) {
	in := everything(t, "acme")
	for _, part := range parts.All {
		for _, object := range part.Objects(in) {
			want := false
			switch object.(type) {
			case *corev1.ServiceAccount, *corev1.Service, *appsv1.Deployment, *batchv1.CronJob, *batchv1.Job, *policyv1.PodDisruptionBudget, *networkingv1.Ingress:
				want = true
			}
			if got := desired.OwningOf(object).Fields; got != want {
				t.Errorf("%T is owned by its fields: %t, want %t", object, got, want)
			}
		}
	}
}

func TestServiceAndDisruptionBudgetSelectTheAppsPodsAndNoOthers(t *testing.T) {
	in := everything(t, "acme")
	budget := find[*policyv1.PodDisruptionBudget](t, parts.App, in)
	service := find[*corev1.Service](t, parts.App, in)
	pods := labels.Set(deploymentOf(t, in).Spec.Template.Labels)
	others := labels.Set(deploymentOf(t, everything(t, "globex")).Spec.Template.Labels)
	for what, selector := range map[string]map[string]string{
		"Service": service.Spec.Selector, "PodDisruptionBudget": budget.Spec.Selector.MatchLabels,
		"Deployment": deploymentOf(t, in).Spec.Selector.MatchLabels,
	} {
		if !labels.SelectorFromSet(selector).Matches(pods) {
			t.Errorf("the %s does not select the app's pods", what)
		}
		if labels.SelectorFromSet(selector).Matches(others) {
			t.Errorf("the %s selects another tenant's pods", what)
		}
	}
	if budget.Spec.MaxUnavailable == nil || budget.Spec.MaxUnavailable.IntValue() != 1 || budget.Spec.MinAvailable != nil {
		t.Errorf("the disruption budget is %v, want at most one pod unavailable", budget.Spec)
	}
}

func TestTheOperatorFindsTheAppsPodsByItsLabel(t *testing.T) {
	got := deploymentOf(t, everything(t, "acme")).Spec.Template.Labels
	if got["app.kubernetes.io/managed-by"] != "tenantry" || got["tenantry.dev/tenant"] != "acme" {
		t.Errorf("the pods' labels are %v", got)
	}
}

func TestTheServiceListensOnThePortOfTheApp(t *testing.T) {
	in := everything(t, "acme")
	ports := find[*corev1.Service](t, parts.App, in).Spec.Ports
	if len(ports) != 1 || ports[0].Port != 8080 || ports[0].TargetPort.String() != containerOf(t, in).Ports[0].Name {
		t.Errorf("the Service's ports are %v", ports)
	}
}

func TestTheAppsConfigIsInAConfigMap(t *testing.T) {
	in := everything(t, "acme")
	config := find[*corev1.ConfigMap](t, parts.App, in)
	if !maps.Equal(config.Data, map[string]string{"LOG_LEVEL": "info", "feature.new-checkout": "true"}) {
		t.Errorf("it holds %v", config.Data)
	}
	var sources []string
	for _, source := range containerOf(t, in).EnvFrom {
		sources = append(sources, source.ConfigMapRef.Name)
	}
	// Of two sources with the same key, Kubernetes uses the later one.
	if want := []string{config.Name, "more"}; !slices.Equal(sources, want) {
		t.Errorf("the app gets its variables from %v, want %v", sources, want)
	}
}

func TestTheAppsEnvironment(t *testing.T) {
	database := []string{
		"DATABASE_URL=database/DATABASE_URL", "PGDATABASE=database/PGDATABASE", "PGHOST=database/PGHOST",
		"PGPASSWORD=database/PGPASSWORD", "PGPORT=database/PGPORT", "PGSSLMODE=database/PGSSLMODE", "PGUSER=database/PGUSER",
	}
	rootCert := "PGSSLROOTCERT=/var/run/secrets/tenantry.dev/database/ca.crt"
	for _, test := range []struct {
		name string
		in   parts.Inputs
		want []string
	}{
		{"an image alone: nothing", inputsOf(t, builders.Tenant("acme").App(image)), nil},
		{"a port", inputsOf(t, builders.Tenant("acme").App(image).Port(8080)), []string{"PORT=8080"}},
		{
			"a database",
			withDatabase(t, builders.Tenant("acme").App(image).Database("shared"), server()), database,
		},
		{
			"a database whose Secret has another name",
			withDatabase(t, builders.Tenant("acme").App(image).Database("shared").DatabaseSecret("login").Env("DATABASE_URL", "mine").
				Env("PGDATABASE", "mine").Env("PGHOST", "mine").Env("PGPORT", "mine").Env("PGSSLMODE", "mine").Env("PGUSER", "mine"), server()),
			[]string{
				"PGPASSWORD=login/PGPASSWORD", "DATABASE_URL=mine", "PGDATABASE=mine", "PGHOST=mine", "PGPORT=mine",
				"PGSSLMODE=mine", "PGUSER=mine",
			},
		},
		{
			"a database with an authority of its own",
			withDatabase(t, builders.Tenant("acme").App(image).Database("shared"), server().CABundle("PEM")),
			append(slices.Clone(database), rootCert),
		},
		{
			"the spec's own come last, so that they can refer to the others",
			withDatabase(t, builders.Tenant("acme").App(image).Port(8080).Database("shared").Env("URL", "$(DATABASE_URL)"), server()),
			slices.Concat([]string{"PORT=8080"}, database, []string{"URL=$(DATABASE_URL)"}),
		},
		{
			"the spec's own win over port, database and authority",
			withDatabase(t, builders.Tenant("acme").App(image).Port(8080).Database("shared").
				Env("PORT", "80").Env("PGHOST", "localhost").Env("PGSSLROOTCERT", "/etc/ca"), server().CABundle("PEM")),
			slices.Concat(database[:2], database[3:], []string{"PORT=80", "PGHOST=localhost", "PGSSLROOTCERT=/etc/ca"}),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, variable := range containerOf(t, test.in).Env {
				value := variable.Value
				if variable.ValueFrom != nil {
					value = variable.ValueFrom.SecretKeyRef.Name + "/" + variable.ValueFrom.SecretKeyRef.Key
				}
				got = append(got, variable.Name+"="+value)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("it is\n%q\nwant\n%q", got, test.want)
			}
		})
	}
}

func TestTheAppRestartsWhenItsSettingsChangeAndOnlyThen(t *testing.T) {
	tenant := func() *builders.TenantBuilder {
		return builders.Tenant("acme").Config("LOG_LEVEL", "info").Config("MODE", "fast").Database("shared").App(image).Port(8080)
	}
	settings := func(in parts.Inputs) string {
		revision := deploymentOf(t, in).Spec.Template.Annotations["tenantry.dev/settings"]
		if revision == "" {
			t.Fatal("the pods don't say which settings they have")
		}
		return revision
	}
	before := settings(withDatabase(t, tenant(), server()))
	for _, test := range []struct {
		name     string
		in       parts.Inputs
		restarts bool
	}{
		{"a setting has another value", withDatabase(t, tenant().Config("LOG_LEVEL", "debug"), server()), true},
		{"a setting more", withDatabase(t, tenant().Config("TRACE", ""), server()), true},
		{"a setting less", func() parts.Inputs {
			in := withDatabase(t, tenant(), server())
			delete(in.Tenant.Spec.Config, "MODE")
			return in
		}(), true},
		{"one setting that reads like two", func() parts.Inputs {
			in := withDatabase(t, tenant(), server())
			in.Tenant.Spec.Config = map[string]string{"LOG_LEVEL": "info\nMODE=fast"}
			return in
		}(), true},
		{"another password", func() parts.Inputs {
			in := withDatabase(t, tenant(), server())
			in.Login.Password = "0aP1sG6fD4jH7cW5nB8yT2rL9mQ3vXZk"
			return in
		}(), true},
		{"another authority", withDatabase(t, tenant(), server().CABundle("PEM")), true},
		{"another host", withDatabase(t, tenant(), builders.DatabaseServer("shared", "pg2.example")), true},
		{"another sslMode", withDatabase(t, tenant(), server().SSLMode(v1alpha1.SSLModeRequire)), true},
		{"no database", inputsOf(t, builders.Tenant("acme").Config("LOG_LEVEL", "info").Config("MODE", "fast").App(image)), true},
		{"the same", withDatabase(t, tenant(), server()), false},
		{"the same settings in another order", withDatabase(t,
			builders.Tenant("acme").Config("MODE", "fast").Config("LOG_LEVEL", "info").Database("shared").App(image), server()), false},
		{"a display name, owners and a quota", withDatabase(t, tenant().DisplayName("Acme Corp").
			Owner(v1alpha1.OwnerKindUser, "alice", v1alpha1.OwnerRoleAdmin).Quota(corev1.ResourcePods, "1"), server()), false},
		{"more replicas", withDatabase(t, tenant().Replicas(9), server()), false},
		{"another connection limit and reclaim policy", withDatabase(t,
			tenant().ConnectionLimit(5).ReclaimPolicy(v1alpha1.ReclaimPolicyDelete), server()), false},
		{"other addresses of the same host", withDatabase(t, tenant(), server().Addresses("192.0.2.11")), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if after := settings(test.in); (after != before) != test.restarts {
				t.Errorf("settings are %s before and %s after; restarts: want %t", before, after, test.restarts)
			}
		})
	}
}

func TestTheAppFindsTheAuthoritiesWhereItsSettingsSay(t *testing.T) {
	in := withDatabase(t, builders.Tenant("acme").App(image).Database("shared").DatabaseSecret("login"), server().CABundle("PEM"))
	container, volumes := containerOf(t, in), deploymentOf(t, in).Spec.Template.Spec.Volumes
	if len(volumes) != 1 || len(container.VolumeMounts) != 1 || container.VolumeMounts[0].Name != volumes[0].Name {
		t.Fatalf("the app mounts %v of %v", container.VolumeMounts, volumes)
	}
	source := volumes[0].Secret
	if source == nil || source.SecretName != "login" || len(source.Items) != 1 {
		t.Fatalf("it mounts %v, and not one key of the database's Secret", volumes[0])
	}
	if _, found := find[*corev1.Secret](t, parts.Database, in).Data[source.Items[0].Key]; !found {
		t.Errorf("the Secret has no key %q", source.Items[0].Key)
	}
	mounted := container.VolumeMounts[0].MountPath + "/" + source.Items[0].Path
	if want := "/var/run/secrets/tenantry.dev/database/ca.crt"; mounted != want {
		t.Errorf("it is mounted at %s; PGSSLROOTCERT says %s", mounted, want)
	}
}

func TestWithoutAnAuthorityNothingIsMounted(t *testing.T) {
	in := withDatabase(t, builders.Tenant("acme").App(image).Database("shared"), server())
	if volumes := deploymentOf(t, in).Spec.Template.Spec.Volumes; len(volumes) > 0 {
		t.Errorf("the app mounts %v", volumes)
	}
}

// The database's values are in the settings of the app's pods. Without the server these would change, and the app
// would restart, without its certificate authorities, because of an object that the app itself doesn't need.
func TestTheAppIsLeftAsItIsWhileItsDatabaseServerIsMissing(t *testing.T) {
	in := inputsOf(t, builders.Tenant("acme").Database("nowhere").App(image).Port(8080).Replicas(2))
	want := []string{"ServiceAccount app", "ConfigMap app-config", "Service app", "PodDisruptionBudget app"}
	if got := list(t, parts.App.Objects(in)); !slices.Equal(got, want) {
		t.Errorf("the app's objects are %q, want %q", got, want)
	}
}
