package nodes

import (
	"bytes"
	"fmt"
	"os/exec"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"
)

// outside is the namespace of the client of all apps, as that of a gateway would be.
const outside = "outside"

// oneClient is how long a client pauses that is the only one, and manyClients if there are twelve: their apps, in Python,
// would otherwise keep a machine of two cores busy with answers alone.
const oneClient, manyClients = 100 * time.Millisecond, 400 * time.Millisecond

// fromOutside lets the client in.
func fromOutside() networkingv1.NetworkPolicyIngressRule {
	return networkingv1.NetworkPolicyIngressRule{From: []networkingv1.NetworkPolicyPeer{{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: outside}},
	}}}
}

// as returns a client with the rights of a user.
func as(user string) client.Client {
	GinkgoHelper()
	config := kubernetes.Config()
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	made, err := client.New(config, client.Options{Scheme: cl.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	return made
}

// startClient starts the pod that requests are sent from.
func startClient(ctx SpecContext) {
	GinkgoHelper()
	Expect(cl.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: outside}})).To(Succeed())
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: outside, Name: "client"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "client", Image: peer, Args: []string{"sleep"}}}},
	}
	Eventually(ctx, cl.Create).WithArguments(pod).Should(Succeed()) // once its ServiceAccount is there
	Eventually(ctx, komega.Object(pod)).Should(HaveField("Status.Phase", corev1.PodRunning))
}

// asking is a client that sends requests to an app.
type asking struct {
	end   func() error
	cmd   *exec.Cmd
	lines *bytes.Buffer
}

// ask begins to send requests to a path of a tenant's app, from outside of all tenants, with a pause before each so that
// the machine has time for what they are to show. It uses the address of the
// Service, so that it doesn't measure how fast names are found. Content is what it posts, if anything.
func ask(ctx SpecContext, tenant, path string, pause time.Duration, content ...string) *asking {
	GinkgoHelper()
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: "app"}}
	Eventually(ctx, komega.Get(service)).Should(Succeed())
	// A node learns of a Service's first pods a moment after the API server.
	Eventually(ctx, page).WithArguments(tenant, path).ShouldNot(BeEmpty())
	cmd := exec.CommandContext(ctx, kubernetes.KubectlPath(), append([]string{
		"--kubeconfig=" + kubernetes.KubeconfigPath(), "exec", "--stdin", "--namespace=" + outside, "client", "--", "/peer", "ask",
		fmt.Sprintf("http://%s:%d%s", service.Spec.ClusterIP, service.Spec.Ports[0].Port, path), pause.String(),
	}, content...)...)
	lines := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = lines, lines
	input, err := cmd.StdinPipe()
	Expect(err).NotTo(HaveOccurred())
	Expect(cmd.Start()).To(Succeed())
	return &asking{end: input.Close, cmd: cmd, lines: lines}
}

// answered stops sending requests, and returns what the client has printed.
func (a *asking) answered() (string, error) {
	if err := a.end(); err != nil {
		return "", err
	}
	err := a.cmd.Wait()
	return a.lines.String(), err
}

// allAnswered is what a client prints that got an answer to each of its requests, of which there were many.
func allAnswered() OmegaMatcher { return MatchRegexp(`\Aasked \d{2,}, failed 0\n\z`) }
