// Package plugin tests the kubectl plugin as people use it: the built program, with the rights of a cluster admin, of
// owners and of others, on a real control plane with the operator and a real PostgreSQL.
package plugin

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/operator"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/environment"
)

const (
	shared = "shared"
	// image is one that the simulated nodes run.
	image = "registry.example/shop:1"
	// specTimeout is long enough for a busy machine.
	specTimeout = 3 * time.Minute
)

var (
	env *environment.Environment
	// program is the built plugin.
	program string
)

func TestPlugin(t *testing.T) {
	environment.RunSpecs(t, "Plugin")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	program, err = operator.Compile(ctx, "./cmd/kubectl-tenantry")
	Expect(err).NotTo(HaveOccurred())
	env, err = environment.Start(ctx, environment.Options{Name: "plugin", OperatorArgs: []string{"--leader-elect=false"}, Progress: GinkgoWriter})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return env.Stop() })
	komega.SetClient(env.Client)
	_, err = env.ApplyDatabaseServer(ctx, shared, env.Postgres)
	Expect(err).NotTo(HaveOccurred())
}, NodeTimeout(20*time.Minute))

var _ = AfterEach(func(ctx SpecContext) {
	env.Explain(ctx, "get tenants,databaseservers -o wide")
}, NodeTimeout(time.Minute))

// said is what the plugin has said.
type said struct {
	// Out is what people and programs read, and Err what went wrong.
	Out, Err string
	// Code is the exit code.
	Code int
}

// user is who runs the plugin.
type user struct {
	kubeconfig string
	flags      []string
	variables  []string
}

// admin is the cluster's admin.
func admin() user { return user{kubeconfig: env.Kubernetes.KubeconfigPath()} }

// named returns a user whom the cluster's admin impersonates, so that only RBAC says what they may do.
func named(name string) user {
	return user{kubeconfig: env.Kubernetes.KubeconfigPath(), flags: []string{"--as", name}}
}

// run runs the plugin.
func (u user) run(ctx context.Context, args ...string) said {
	GinkgoHelper()
	return u.exec(ctx, program, slices.Concat(args[:1], u.flags, args[1:])...)
}

func (u user) exec(ctx context.Context, path string, args ...string) said {
	GinkgoHelper()
	var out, failure bytes.Buffer
	command := exec.CommandContext(ctx, path, args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+u.kubeconfig, "HOME="+GinkgoT().TempDir(), "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"))
	command.Env = append(command.Env, u.variables...)
	command.Stdout, command.Stderr = &out, &failure
	err := command.Run()
	if ended := (*exec.ExitError)(nil); err != nil && !errors.As(err, &ended) {
		Expect(err).NotTo(HaveOccurred())
	}
	GinkgoWriter.Printf("$ %s %q\n%s%s", filepath.Base(path), args, out.String(), failure.String())
	return said{Out: out.String(), Err: failure.String(), Code: command.ProcessState.ExitCode()}
}

// says matches what the plugin says when nothing is wrong.
func says(texts ...any) OmegaMatcher {
	matchers := []OmegaMatcher{HaveField("Code", 0), HaveField("Err", BeEmpty())}
	for _, text := range texts {
		matcher, isMatcher := text.(OmegaMatcher)
		if !isMatcher {
			matcher = ContainSubstring(text.(string))
		}
		matchers = append(matchers, HaveField("Out", matcher))
	}
	return And(matchers...)
}

// complains matches what the plugin says when something is wrong.
func complains(texts ...string) OmegaMatcher {
	matchers := []OmegaMatcher{HaveField("Code", 1), HaveField("Out", BeEmpty())}
	for _, text := range texts {
		matchers = append(matchers, HaveField("Err", ContainSubstring(text)))
	}
	return And(matchers...)
}

// apply creates a Tenant, which is deleted after the spec.
func apply(ctx context.Context, tenant *builders.TenantBuilder) *v1alpha1.Tenant {
	GinkgoHelper()
	created := tenant.Build()
	Expect(env.Client.Create(ctx, created)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(client.IgnoreNotFound(env.Client.Delete(ctx, created))).To(Succeed())
	}, NodeTimeout(time.Minute))
	return created
}

// ready creates a Tenant and waits until it is Ready.
func ready(ctx context.Context, tenant *builders.TenantBuilder) *v1alpha1.Tenant {
	GinkgoHelper()
	created := apply(ctx, tenant)
	Eventually(ctx, komega.Object(created)).Should(HaveField("Status.Conditions", ContainElement(And(
		HaveField("Type", v1alpha1.ConditionReady), HaveField("Status", metav1.ConditionTrue)))))
	return created
}

// owned returns a tenant with an owner of each role.
func owned(name string) *builders.TenantBuilder {
	return builders.Tenant(name).
		Owner(v1alpha1.OwnerKindUser, "admin@"+name, v1alpha1.OwnerRoleAdmin).
		Owner(v1alpha1.OwnerKindUser, "editor@"+name, v1alpha1.OwnerRoleEditor).
		Owner(v1alpha1.OwnerKindUser, "viewer@"+name, v1alpha1.OwnerRoleViewer)
}

// secretOf reads the Secret with a tenant's login.
func secretOf(ctx context.Context, tenant string) *corev1.Secret {
	GinkgoHelper()
	secret := &corev1.Secret{}
	Expect(env.Client.Get(ctx, client.ObjectKey{Namespace: tenant, Name: "database"}, secret)).To(Succeed())
	return secret
}
