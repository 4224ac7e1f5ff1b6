package examples

import (
	"context"
	"path/filepath"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/process"
)

const stopGrace = 10 * time.Second

// program is one of a tenant's pods, running as a process with what a kubelet would give it.
type program struct {
	*process.Process
	container
}

// launch starts the program of a pod. It ends with the test program, by itself, or by stop.
func launch(ctx context.Context, tenant *v1alpha1.Tenant, framework string, pod corev1.PodSpec) (*program, error) {
	container, err := resolve(ctx, tenant.Name, pod)
	if err != nil {
		return nil, err
	}
	if err := container.write(ctx); err != nil {
		return nil, err
	}
	name := tenant.Name + "-" + pod.Containers[0].Name
	started, err := process.Start(process.Command{
		Name:              name,
		Path:              container.command[0],
		Args:              container.command[1:],
		Env:               container.variables(),
		Dir:               filepath.Join(folder, framework),
		LogPath:           filepath.Join(env.Dir, "logs", name+".log"),
		ParentDeathSignal: syscall.SIGKILL,
	})
	return &program{Process: started, container: container}, err
}

func (p *program) stop() error { return p.Stop(stopGrace) }

// run runs the program of a pod to its end, and returns the last lines that it has printed.
func run(ctx context.Context, tenant *v1alpha1.Tenant, framework string, pod corev1.PodSpec) string {
	GinkgoHelper()
	started, err := launch(ctx, tenant, framework, pod)
	Expect(err).NotTo(HaveOccurred())
	Eventually(ctx, started.Exited()).Should(BeClosed())
	printed, err := started.LogTail(20)
	Expect(err).NotTo(HaveOccurred())
	Expect(started.ExitCode()).To(BeZero(), printed)
	return printed
}

// podOf returns the spec of the pods of a tenant's Deployment.
func podOf(ctx context.Context, tenant *v1alpha1.Tenant, name string) (corev1.PodSpec, error) {
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.Name, Name: name}}
	err := env.Client.Get(ctx, client.ObjectKeyFromObject(deployment), deployment)
	return deployment.Spec.Template.Spec, err
}

// runSchedule runs the program of a schedule, as if its time had come.
func runSchedule(ctx context.Context, tenant *v1alpha1.Tenant, framework, name string) string {
	GinkgoHelper()
	cronJob := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.Name, Name: name}}
	Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(cronJob), cronJob)).To(Succeed())
	return run(ctx, tenant, framework, cronJob.Spec.JobTemplate.Spec.Template.Spec)
}

// holdMigration keeps the nodes, which run no programs, from ending the migration's pod: migrate does.
func holdMigration(tenant *v1alpha1.Tenant) {
	if migration := tenant.Spec.App.Migration; migration != nil {
		much := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("5000")}
		migration.Resources = corev1.ResourceRequirements{Requests: much, Limits: much}
	}
}

// migrate runs the migration of a tenant that has one, before anything else of its app is there.
func migrate(ctx context.Context, tenant *v1alpha1.Tenant, framework string) {
	GinkgoHelper()
	if tenant.Spec.App.Migration == nil {
		return
	}
	pods := &corev1.PodList{}
	Eventually(ctx, func() ([]corev1.Pod, error) {
		err := env.Client.List(ctx, pods, client.InNamespace(tenant.Name))
		return pods.Items, err
	}).Should(ConsistOf(HaveField("Labels", HaveKeyWithValue("app.kubernetes.io/component", "migration"))))
	pod := &pods.Items[0]
	Expect(migrations(ctx, tenant)).To(HaveLen(1))
	run(ctx, tenant, framework, pod.Spec)

	deployments := &appsv1.DeploymentList{}
	Expect(env.Client.List(ctx, deployments, client.InNamespace(tenant.Name))).To(Succeed())
	Expect(deployments.Items).To(BeEmpty())
	before := pod.DeepCopy()
	pod.Status.Phase = corev1.PodSucceeded
	Expect(env.Client.Status().Patch(ctx, pod, client.MergeFrom(before))).To(Succeed())
}

// migrations returns the Jobs of a tenant's migrations that there have been.
func migrations(ctx context.Context, tenant *v1alpha1.Tenant) []batchv1.Job {
	GinkgoHelper()
	jobs := &batchv1.JobList{}
	Expect(env.Client.List(ctx, jobs, client.InNamespace(tenant.Name), client.MatchingLabels{"app.kubernetes.io/component": "migration"})).To(Succeed())
	return jobs.Items
}
