package parts_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/test/builders"
)

const (
	first  = "registry.example/shop:1"
	second = "registry.example/shop:2"
)

// shop returns a tenant whose app has a migration.
func shop(t *testing.T, image string, changes ...func(*v1alpha1.TenantSpec)) *effective.Tenant {
	t.Helper()
	tenant := builders.Tenant("acme").Database("shared").App(image).Port(8080).Replicas(2).Config("LOG_LEVEL", "info").
		Worker("mail", 1, "/worker").Schedule("bill", "@daily", "/bill").Migration("/migrate").Build()
	for _, change := range changes {
		change(&tenant.Spec)
	}
	return builders.Effective(t, tenant)
}

// world is what there is of a tenant, as its reconciles see it and change it.
type world struct {
	parts.Migrating
	release parts.Release
	tenant  *effective.Tenant
}

// reconcile decides, and does what follows for the Jobs and the record, as the controller does.
func (w *world) reconcile(t *testing.T) {
	t.Helper()
	w.tenant, w.release = parts.ReleaseOf(w.Migrating)
	in := w.inputs(t)
	var kept []batchv1.Job
	for _, job := range w.Jobs {
		if slices.Contains(w.release.Keep, job.Name) {
			kept = append(kept, job)
		}
	}
	w.Jobs = kept
	for _, object := range parts.App.Objects(in) {
		switch object := object.(type) {
		case *batchv1.Job:
			w.Jobs = append(w.Jobs, *object)
		case *corev1.ConfigMap:
			if object.Name == naming.AppRelease {
				w.Former = object
			}
		}
	}
	w.Tenant.Status.App = &v1alpha1.TenantAppStatus{Migration: w.release.Record}
}

func (w *world) inputs(t *testing.T) parts.Inputs {
	t.Helper()
	in := withDatabase(t, builders.Tenant("acme").Database("shared"), server())
	in.Tenant, in.Release = w.tenant, w.release
	return in
}

// finish finishes a Job of the world.
func (w *world) finish(n int, outcome batchv1.JobConditionType, at time.Time) {
	w.Jobs[n].Status.Conditions = []batchv1.JobCondition{{
		Type: outcome, Status: corev1.ConditionTrue, Reason: batchv1.JobReasonBackoffLimitExceeded, LastTransitionTime: metav1.NewTime(at),
	}}
}

// pod returns a pod of a Job.
func pod(job string, phase corev1.PodPhase) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: job + "-x", Labels: map[string]string{
			batchv1.JobNameLabel: job, naming.LabelAppComponent: naming.ComponentMigration, naming.LabelAppName: naming.Migration,
		}},
		Status: corev1.PodStatus{Phase: phase},
	}
}

// write changes the tenant's spec, as a user does.
func (w *world) write(tenant *effective.Tenant) {
	tenant.Status = w.Tenant.Status
	tenant.Annotations = w.Tenant.Annotations
	w.Tenant = tenant
}

// released returns a world in which the first image runs, and its migration has.
func released(t *testing.T) *world {
	t.Helper()
	w := &world{Migrating: parts.Migrating{Tenant: shop(t, first), Database: "t_x"}}
	w.reconcile(t)
	w.finish(0, batchv1.JobComplete, noon)
	w.reconcile(t)
	return w
}

// runs returns the images of the pods of all that runs, by name.
func runs(t *testing.T, in parts.Inputs) map[string]string {
	t.Helper()
	images := map[string]string{}
	for _, object := range parts.App.Objects(in) {
		switch object := object.(type) {
		case *appsv1.Deployment:
			images[object.Name] = object.Spec.Template.Spec.Containers[0].Image
		case *batchv1.CronJob:
			images[object.Name] = object.Spec.JobTemplate.Spec.Template.Spec.Containers[0].Image
		}
	}
	return images
}

func all3(image string) map[string]string {
	return map[string]string{"app": image, "mail": image, "bill": image}
}

func TestTheFirstPodsWaitForTheFirstMigration(t *testing.T) {
	w := &world{Migrating: parts.Migrating{Tenant: shop(t, first), Database: "t_x"}}
	w.reconcile(t)
	in := w.inputs(t)
	if got := list(t, parts.App.Objects(in)); len(got) != 3 || got[0] != "ServiceAccount app" || !strings.HasPrefix(got[2], "Job migration-") {
		t.Errorf("there are %v", got)
	}
	w.reconcile(t)
	if w.release.Create || len(w.Jobs) != 1 || w.release.Job == nil {
		t.Errorf("a second Job is created: %+v", w.release)
	}
	w.finish(0, batchv1.JobComplete, noon)
	w.reconcile(t)
	if got := runs(t, w.inputs(t)); !maps.Equal(got, all3(first)) {
		t.Errorf("it runs %v", got)
	}
	if w.release.Held() || w.release.Record.Image != first || len(w.Jobs) != 1 {
		t.Errorf("the record is %+v, the Jobs %v", w.release.Record, w.Jobs)
	}
}

func TestTheMigrationsJob(t *testing.T) {
	w := &world{Migrating: parts.Migrating{Tenant: shop(t, first), Database: "t_x"}}
	w.reconcile(t)
	in := w.inputs(t)
	job, config := find[*batchv1.Job](t, parts.App, in), find[*corev1.ConfigMap](t, parts.App, in)
	container := job.Spec.Template.Spec.Containers[0]
	if container.Image != first || !slices.Equal(container.Command, []string{"/migrate"}) || container.TerminationMessagePolicy != corev1.TerminationMessageFallbackToLogsOnError {
		t.Errorf("it runs %s %v, and ends with %s", container.Image, container.Command, container.TerminationMessagePolicy)
	}
	if container.EnvFrom[0].ConfigMapRef.Name != config.Name || config.Name != job.Name || config.Data["LOG_LEVEL"] != "info" {
		t.Errorf("its config is %v of %v", container.EnvFrom, config)
	}
	if *job.Spec.BackoffLimit != 2 || *job.Spec.ActiveDeadlineSeconds != 1800 || job.Spec.TTLSecondsAfterFinished != nil {
		t.Errorf("its bounds are %v", job.Spec)
	}
	if errs := validate(t, job); len(errs) > 0 {
		t.Error(errs)
	}
}

// A kubelet doesn't start a pod as long as a ConfigMap that it mounts is missing.
func TestTheFirstMigrationHasAllThatItMounts(t *testing.T) {
	w := &world{Migrating: parts.Migrating{Database: "t_x", Tenant: shop(t, first, func(spec *v1alpha1.TenantSpec) {
		spec.App.Reload, spec.Features = v1alpha1.ReloadWatch, map[string]apiextensionsv1.JSON{"new": {Raw: []byte("true")}}
	})}}
	w.reconcile(t)
	in := w.inputs(t)
	in.Files.Features = "{}"
	mounted := map[string]string{}
	for _, volume := range find[*batchv1.Job](t, parts.App, in).Spec.Template.Spec.Volumes {
		if volume.ConfigMap != nil {
			mounted[volume.Name] = findNamed[*corev1.ConfigMap](t, parts.App, in, volume.ConfigMap.Name).Name
		}
	}
	if want := (map[string]string{naming.AppSettings: naming.AppSettings, naming.AppConfig: w.Jobs[0].Name}); !maps.Equal(mounted, want) {
		t.Errorf("it mounts %v, want %v", mounted, want)
	}
}

func TestNothingOfANewVersionRunsBeforeItsMigrationHas(t *testing.T) {
	w := released(t)
	w.write(shop(t, second, func(spec *v1alpha1.TenantSpec) {
		spec.Config = map[string]string{"LOG_LEVEL": "debug"}
		spec.App.Replicas, spec.App.Workers = new(int32(5)), nil
	}))
	w.reconcile(t)
	in := w.inputs(t)
	if got := runs(t, in); !maps.Equal(got, all3(first)) {
		t.Errorf("it runs %v", got)
	}
	if app := findNamed[*appsv1.Deployment](t, parts.App, in, "app"); *app.Spec.Replicas != 5 {
		t.Errorf("it is not scaled: %d", *app.Spec.Replicas)
	}
	if config := findNamed[*corev1.ConfigMap](t, parts.App, in, "app-config"); config.Data["LOG_LEVEL"] != "info" {
		t.Errorf("the old version gets the new config: %v", config.Data)
	}
	job := find[*batchv1.Job](t, parts.App, in)
	if config := findNamed[*corev1.ConfigMap](t, parts.App, in, job.Name); config.Data["LOG_LEVEL"] != "debug" {
		t.Errorf("the migration gets the old config: %v", config.Data)
	}
	for range 3 {
		w.reconcile(t)
	}
	w.finish(len(w.Jobs)-1, batchv1.JobComplete, noon.Add(time.Hour))
	w.reconcile(t)
	if got := runs(t, w.inputs(t)); !maps.Equal(got, map[string]string{"app": second, "bill": second}) {
		t.Errorf("after the migration, it runs %v", got)
	}
	if len(w.Jobs) != 1 || len(w.release.Record.Earlier) != 1 {
		t.Errorf("there are the Jobs %v and the record %+v", w.Jobs, w.release.Record)
	}
}

func TestWhatNeedsNoMigration(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*world)
	}{
		{"nothing has changed", func(*world) {}},
		{"the Job is gone", func(w *world) { w.Jobs = nil }},
		{"the record is gone, and the Job", func(w *world) { w.Tenant.Status.App, w.Jobs = nil, nil }},
		{"all but the record is gone", func(w *world) { w.Former, w.Jobs = nil, nil }},
		{"all but the Job is gone", func(w *world) { w.Former, w.Tenant.Status.App = nil, nil }},
		{"another setting", func(w *world) {
			w.write(shop(t, first, func(spec *v1alpha1.TenantSpec) { spec.Config["MODE"] = "fast" }))
		}},
		{"another deadline", func(w *world) {
			w.write(shop(t, first, func(spec *v1alpha1.TenantSpec) { spec.App.Migration.ActiveDeadlineSeconds = new(int64(1)) }))
		}},
		{"no migration any more", func(w *world) {
			w.write(shop(t, second, func(spec *v1alpha1.TenantSpec) { spec.App.Migration = nil }))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := released(t)
			test.change(w)
			want := w.Tenant.Spec.App.Image
			w.reconcile(t)
			if w.release.Held() || w.tenant.Spec.App.Image != want {
				t.Errorf("it waits: %+v", w.release)
			}
		})
	}
}

func TestWhatNeedsAMigration(t *testing.T) {
	for name, change := range map[string]func(*world){
		"another image": func(w *world) { w.write(shop(t, second)) },
		"another command": func(w *world) {
			w.write(shop(t, first, func(spec *v1alpha1.TenantSpec) { spec.App.Migration.Command = []string{"/other"} }))
		},
		"another database": func(w *world) { w.Database = "t_y" },
	} {
		t.Run(name, func(t *testing.T) {
			w := released(t)
			change(w)
			w.reconcile(t)
			if !w.release.Held() || !w.release.Create {
				t.Errorf("it does not wait: %+v", w.release)
			}
		})
	}
}

func TestAMigrationThatHasFailed(t *testing.T) {
	failed := func(t *testing.T) *world {
		t.Helper()
		w := released(t)
		w.write(shop(t, second))
		w.reconcile(t)
		w.finish(len(w.Jobs)-1, batchv1.JobFailed, noon.Add(time.Hour))
		w.reconcile(t)
		return w
	}
	for _, test := range []struct {
		name   string
		change func(*world)
		create bool
	}{
		{"is not tried again by itself", func(*world) {}, false},
		{"is tried again when its Job is deleted", func(w *world) { w.Jobs = nil }, true},
		{"is tried again with another setting", func(w *world) {
			w.write(shop(t, second, func(spec *v1alpha1.TenantSpec) { spec.Config["FIX"] = "yes" }))
		}, true},
		{"is tried again with more time", func(w *world) {
			w.write(shop(t, second, func(spec *v1alpha1.TenantSpec) { spec.App.Migration.ActiveDeadlineSeconds = new(int64(7200)) }))
		}, true},
		{"is tried again with a larger quota", func(w *world) {
			w.write(shop(t, second))
			w.Tenant.Spec.Quota = corev1.ResourceList{corev1.ResourcePods: resource.MustParse("9")}
		}, true},
		{"gives way to that of another image", func(w *world) { w.write(shop(t, "registry.example/shop:3")) }, true},
		{"is not tried again for more replicas", func(w *world) {
			w.write(shop(t, second, func(spec *v1alpha1.TenantSpec) { spec.App.Replicas = new(int32(9)) }))
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := failed(t)
			test.change(w)
			w.tenant, w.release = parts.ReleaseOf(w.Migrating)
			if !w.release.Held() || w.release.Create != test.create || w.tenant.Spec.App.Image != first {
				t.Errorf("at %s: %+v", w.tenant.Spec.App.Image, w.release)
			}
		})
	}
	t.Run("costs nothing more once the old image is back", func(t *testing.T) {
		w := failed(t)
		w.write(shop(t, first))
		w.reconcile(t)
		if w.release.Held() || w.release.Record.Image != first {
			t.Errorf("it waits: %+v", w.release)
		}
	})
}

func TestNeverTwoMigrationsAtOnce(t *testing.T) {
	begin := func(t *testing.T, phase corev1.PodPhase) *world {
		t.Helper()
		w := released(t)
		w.write(shop(t, second))
		w.reconcile(t)
		w.Pods = []corev1.Pod{pod(w.Jobs[len(w.Jobs)-1].Name, phase)}
		w.write(shop(t, "registry.example/shop:3"))
		return w
	}
	t.Run("one that has begun goes on, and the next waits", func(t *testing.T) {
		for _, phase := range []corev1.PodPhase{corev1.PodRunning, ""} {
			w := begin(t, phase)
			going := w.Pods[0].Labels[batchv1.JobNameLabel]
			w.reconcile(t)
			if w.release.Create || !slices.Contains(w.release.Keep, going) || w.release.Before != "Job "+going+" of an earlier migration" {
				t.Errorf("with a pod in the phase %q: %+v", phase, w.release)
			}
			w.finish(len(w.Jobs)-1, batchv1.JobComplete, noon.Add(time.Hour))
			w.Pods[0].Status.Phase = corev1.PodSucceeded
			w.reconcile(t)
			if w.release.Record.Image != second || w.tenant.Spec.App.Image != first {
				t.Errorf("what has run is not recorded, or released: %+v", w.release)
			}
			if len(w.Jobs) != 2 {
				t.Errorf("the next has not begun, or the last is gone before it is recorded: %v", w.Jobs)
			}
			w.reconcile(t)
			if len(w.Jobs) != 1 || w.Jobs[0].Name == going {
				t.Errorf("the last is still there: %v", w.Jobs)
			}
		}
	})
	t.Run("one that has not begun goes away, and the next waits for its pod", func(t *testing.T) {
		w := begin(t, corev1.PodPending)
		waiting := w.Pods[0].Labels[batchv1.JobNameLabel]
		w.reconcile(t)
		if w.release.Create || slices.Contains(w.release.Keep, waiting) || w.release.Before != "pod "+waiting+"-x of an earlier migration" {
			t.Errorf("it is %+v", w.release)
		}
		w.Pods = nil
		w.reconcile(t)
		if len(w.Jobs) != 1 || w.Jobs[0].Name == waiting {
			t.Errorf("the next has not begun: %v", w.Jobs)
		}
	})
	t.Run("one whose Job was deleted goes on until its pod has ended", func(t *testing.T) {
		w := released(t)
		w.write(shop(t, second))
		w.reconcile(t)
		w.Pods, w.Jobs = []corev1.Pod{pod(w.Jobs[len(w.Jobs)-1].Name, corev1.PodRunning)}, nil
		w.reconcile(t)
		if w.release.Create || len(w.Jobs) > 0 {
			t.Errorf("it is %+v", w.release)
		}
	})
	t.Run("one that goes on when the old image is back is recorded when it is complete", func(t *testing.T) {
		w := begin(t, corev1.PodRunning)
		w.write(shop(t, first))
		w.reconcile(t)
		if w.release.Held() || len(w.Jobs) == 0 {
			t.Errorf("it is %+v", w.release)
		}
		w.finish(len(w.Jobs)-1, batchv1.JobComplete, noon.Add(time.Hour))
		w.reconcile(t)
		if w.release.Held() || w.release.Record.Image != second {
			t.Errorf("it is %+v", w.release)
		}
	})
}

func TestARollbackOverAMigrationThatHasRun(t *testing.T) {
	w := released(t)
	w.write(shop(t, second))
	w.reconcile(t)
	w.finish(len(w.Jobs)-1, batchv1.JobComplete, noon.Add(time.Hour))
	w.reconcile(t)
	w.write(shop(t, first))
	w.reconcile(t)
	if !w.release.Rollback || w.release.Create || w.tenant.Spec.App.Image != second {
		t.Errorf("nobody has allowed it, and it is %+v", w.release)
	}
	w.Tenant.Annotations = map[string]string{v1alpha1.AnnotationRollback: second}
	w.reconcile(t)
	if !w.release.Rollback {
		t.Error("what was allowed is another image")
	}
	w.Tenant.Annotations = map[string]string{v1alpha1.AnnotationRollback: first}
	w.reconcile(t)
	if w.release.Held() || w.tenant.Spec.App.Image != first || w.release.Record.Image != second {
		t.Errorf("it is allowed, and is %+v", w.release)
	}
	w.Tenant.Annotations = nil
	w.reconcile(t)
	if w.release.Held() {
		t.Errorf("it was allowed, and is %+v", w.release)
	}
	w.write(shop(t, second))
	w.reconcile(t)
	if w.release.Held() || w.tenant.Spec.App.Image != second {
		t.Errorf("the newer one, whose migration has run, waits: %+v", w.release)
	}
}

func TestAnAppThatGetsAMigrationStaysAsItIsUntilThatHasRun(t *testing.T) {
	w := &world{Migrating: parts.Migrating{Tenant: shop(t, second), Database: "t_x"}}
	w.reconcile(t)
	if !w.release.Unknown || len(runs(t, w.inputs(t))) > 0 {
		t.Errorf("something of the new app runs: %+v", w.release)
	}
	w.Former = &corev1.ConfigMap{Data: map[string]string{"release.json": "{"}}
	w.tenant, w.release = parts.ReleaseOf(w.Migrating)
	if !w.release.Unknown {
		t.Error("what can't be read counts as the former release")
	}
}

func TestWhatIsSaidOfAMigration(t *testing.T) {
	const stays = " Until then, the app stays at registry.example/shop:1."
	for _, test := range []struct {
		name   string
		change func(*world)
		reason string
		says   []string
	}{
		{"it begins", func(*world) {}, "Progressing", []string{"The migration of registry.example/shop:2 begins." + stays}},
		{"it runs", func(w *world) { w.reconcile(t) }, "Progressing", []string{"The migration of registry.example/shop:2 runs as Job migration-", " since 2026-03-01T12:00:00Z." + stays}},
		{"it has failed", func(w *world) {
			w.reconcile(t)
			w.finish(len(w.Jobs)-1, batchv1.JobFailed, noon)
			ended := builders.Pod("acme", "migration-x").Failed("", "").Ended("migration", 1, "Error").Saying("ProgrammingError: relation \"orders\" exists").Build()
			ended.Labels = pod(w.Jobs[len(w.Jobs)-1].Name, "").Labels
			w.Pods = []corev1.Pod{*ended}
		}, "MigrationFailed", []string{
			"The migration of registry.example/shop:2 has failed in Job migration-", `container "migration" has ended with exit code 1 (Error): ProgrammingError: relation "orders" exists. The app stays as it was.`,
			"correct spec.app.migration or the image. To try it again as it is, delete the Job.",
		}},
		{"it took too long", func(w *world) {
			w.reconcile(t)
			w.finish(len(w.Jobs)-1, batchv1.JobFailed, noon)
			last := &w.Jobs[len(w.Jobs)-1].Status.Conditions[0]
			last.Reason, last.Message = batchv1.JobReasonDeadlineExceeded, "Job was active longer than specified deadline"
		}, "MigrationFailed", []string{": Job was active longer than specified deadline. The app", "raise spec.app.migration.activeDeadlineSeconds, or correct the image."}},
		{"it is tried again", func(w *world) {
			w.reconcile(t)
			job := &w.Jobs[len(w.Jobs)-1]
			job.Status.Failed, job.Status.Active = 1, 1
			ended := builders.Pod("acme", "migration-x").Failed("", "").Ended("migration", 1, "Error").Saying("no route to host").Build()
			ended.Labels = pod(job.Name, "").Labels
			w.Pods = []corev1.Pod{*ended}
		}, "Progressing", []string{`It has failed once, and is tried again: container "migration" has ended with exit code 1 (Error): no route to host.` + stays}},
		{"it is older than one that has run", func(w *world) {
			w.reconcile(t)
			w.finish(len(w.Jobs)-1, batchv1.JobComplete, noon.Add(time.Hour))
			w.reconcile(t)
			w.write(shop(t, first))
		}, "RollbackOverMigration", []string{
			"The migration of registry.example/shop:2 has run since that of registry.example/shop:1",
			`"kubectl annotate tenant acme --overwrite tenantry.dev/rollback=registry.example/shop:1"`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := released(t)
			w.write(shop(t, second))
			test.change(w)
			for i := range w.Jobs {
				w.Jobs[i].CreationTimestamp = metav1.NewTime(noon)
			}
			w.tenant, w.release = parts.ReleaseOf(w.Migrating)
			o := observed(t)
			o.Tenant, o.Release, o.Jobs, o.Pods = w.tenant, w.release, w.Jobs, w.Pods
			o.Deployment = builders.Deployment("acme", "app", 2).Pods(2, 2, 2).Build()
			o.Workers["mail"] = builders.Deployment("acme", "mail", 1).Pods(1, 1, 1).Build()
			state := parts.App.State(o)
			if state.Reason != test.reason {
				t.Errorf("the reason is %s: %s", state.Reason, state.Message)
			}
			for _, text := range test.says {
				if !strings.Contains(state.Message, text) {
					t.Errorf("it says\n%q\nwithout\n%q", state.Message, text)
				}
			}
			if state.Stalled != (test.reason != "Progressing") {
				t.Errorf("it is stalled: %t", state.Stalled)
			}
		})
	}
}
