package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/plugin/answer"
	"github.com/tenantry/tenantry/internal/plugin/view"
)

// File is a file of a report.
type File struct {
	// Name is its path in the report.
	Name string
	// Content is what is in it.
	Content string
}

// logLines is how many lines of the operator's log a report has.
const logLines = 5000

// reporting collects the files of a report.
type reporting struct {
	*Connection
	files   []File
	objects []objectFile
	unread  []string
	secrets []string
}

// objectFile is a file with objects, before the Secrets are known whose values must not be in it.
type objectFile struct {
	name    string
	content []any
}

// Report returns what helps others to find out what is wrong: with one tenant, or with all that isn't in a tenant's
// namespaces if the name is empty. It has no value of a Secret, wherever that may have got to.
func (c *Connection) Report(ctx context.Context, tenant, version string) ([]File, error) {
	r := &reporting{Connection: c}
	steps := []func(context.Context) error{r.cluster, r.operator}
	if tenant != "" {
		steps = append(steps, func(ctx context.Context) error { return r.tenant(ctx, tenant) })
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	r.add("README.txt", readme(version, r.unread))
	scrubber := answer.NewScrubber(r.secrets)
	for _, file := range r.objects {
		var text bytes.Buffer
		for _, object := range file.content {
			written, err := yaml.Marshal(scrubber.ScrubObject(object))
			if err != nil {
				return nil, err
			}
			text.WriteString("---\n")
			text.Write(written)
		}
		r.add(file.name, text.String())
	}
	for i := range r.files {
		r.files[i].Content = scrubber.Scrub(r.files[i].Content)
	}
	slices.SortFunc(r.files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return r.files, nil
}

// readme says what is in a report.
func readme(version string, unread []string) string {
	lines := []string{
		"A report of Tenantry, made by kubectl-tenantry " + version + ".",
		"",
		"The values of Secrets, ConfigMaps, environment variables, settings and arguments are removed, and so is each value of",
		"a Secret where it stands elsewhere, such as in a log. Read it nevertheless before you give it away.",
	}
	if len(unread) > 0 {
		lines = append(lines, "", "Left out:")
	}
	for _, sentence := range unread {
		lines = append(lines, "* "+view.Clean(sentence))
	}
	return strings.Join(lines, "\n") + "\n"
}

func (r *reporting) add(name, content string) {
	r.files = append(r.files, File{Name: name, Content: content})
}

// optional notes that something may not be read, or isn't there. Other errors are returned.
func (r *reporting) optional(err error) error {
	switch {
	case err == nil || apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err):
		return nil
	case !apierrors.IsForbidden(err):
		return err
	case !slices.Contains(r.unread, err.Error()):
		r.unread = append(r.unread, err.Error())
	}
	return nil
}

// kind adds all objects of a kind in a namespace, or in the cluster if that is empty.
func (r *reporting) kind(ctx context.Context, kind schema.GroupVersionKind, namespace string) error {
	if _, err := r.client.RESTMapper().RESTMapping(kind.GroupKind(), kind.Version); meta.IsNoMatchError(err) {
		return nil
	}
	folder := "cluster"
	if namespace != "" {
		folder = "namespaces/" + namespace
	}
	file := objectFile{name: fmt.Sprintf("%s/%s.yaml", folder, strings.ToLower(kind.Kind))}
	found := &unstructured.UnstructuredList{}
	found.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	err := r.list(ctx, found, func() {
		for i := range found.Items {
			answer.Redact(&found.Items[i])
			file.content = append(file.content, found.Items[i].Object)
		}
	}, client.InNamespace(namespace))
	if len(file.content) > 0 {
		r.objects = append(r.objects, file)
	}
	return r.optional(err)
}

// secretsOf learns which values must not be in the report. Who may not read them can't give them away.
func (r *reporting) secretsOf(ctx context.Context, namespace string) error {
	found := &corev1.SecretList{}
	return r.optional(r.list(ctx, found, func() {
		for i := range found.Items {
			r.secrets = append(r.secrets, answer.SecretValues(&found.Items[i])...)
		}
	}, client.InNamespace(namespace)))
}

// cluster adds the cluster's version, the Tenants, their classes and their servers.
func (r *reporting) cluster(ctx context.Context) error {
	version, err := r.discovery.ServerVersion()
	if err != nil {
		return r.explain(err, "")
	}
	r.add("cluster/version.txt", version.String()+"\n")
	for _, kind := range []string{"Tenant", "TenantClass", "TenantClassRevision", "DatabaseServer"} {
		if err := r.kind(ctx, v1alpha1.GroupVersion.WithKind(kind), ""); err != nil {
			return err
		}
	}
	return nil
}

// operatorKinds are the kinds of objects by which one sees how the operator and its servers run.
var operatorKinds = []schema.GroupVersionKind{
	{Version: "v1", Kind: "Pod"}, {Version: "v1", Kind: "Event"}, {Version: "v1", Kind: "PersistentVolumeClaim"},
	{Group: "apps", Version: "v1", Kind: "Deployment"}, {Group: "apps", Version: "v1", Kind: "StatefulSet"},
}

// operator adds how the operator runs, and what it has logged.
func (r *reporting) operator(ctx context.Context) error {
	for _, namespace := range []string{naming.ManagerNamespace, naming.DatabasesNamespace} {
		if err := r.secretsOf(ctx, namespace); err != nil {
			return err
		}
		for _, kind := range operatorKinds {
			if err := r.kind(ctx, kind, namespace); err != nil {
				return err
			}
		}
	}
	pods := &corev1.PodList{}
	err := r.list(ctx, pods, func() {}, client.InNamespace(naming.ManagerNamespace))
	if err != nil {
		return r.optional(err)
	}
	for i := range pods.Items {
		if err := r.log(ctx, &pods.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

// log adds the end of a pod's log. A pod that has none isn't worth an error.
func (r *reporting) log(ctx context.Context, pod *corev1.Pod) error {
	clients, err := kubernetes.NewForConfig(r.config)
	if err != nil {
		return err
	}
	stream, err := clients.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{TailLines: new(int64(logLines))}).Stream(ctx)
	if apierrors.IsForbidden(err) {
		return r.optional(r.explain(err, ""))
	}
	if err != nil {
		r.unread = append(r.unread, fmt.Sprintf("The log of the pod %s: %v", pod.Name, err))
		return nil
	}
	defer stream.Close()
	content, err := io.ReadAll(stream)
	r.add("operator/"+pod.Name+".log", string(content))
	return err
}

// tenant adds what is in a tenant's namespaces, and what the plugin says of it.
func (r *reporting) tenant(ctx context.Context, name string) error {
	facts, err := r.Facts(ctx, name, true)
	if err != nil {
		return err
	}
	resources, err := r.discovery.ServerPreferredNamespacedResources()
	if err != nil && len(resources) == 0 {
		return r.explain(err, "")
	}
	kinds := append(listable(resources), corev1.SchemeGroupVersion.WithKind("Event"))
	for _, namespace := range facts.Namespaces {
		if err := r.secretsOf(ctx, namespace.Name); err != nil {
			return err
		}
		for _, kind := range kinds {
			if err := r.kind(ctx, kind, namespace.Name); err != nil {
				return err
			}
		}
	}
	for command, said := range map[string]answer.Answer{"status": answer.Status(facts), "why": answer.Why(facts)} {
		var text bytes.Buffer
		if err := (view.Painter{}).Tree(&text, said.Node); err != nil {
			return err
		}
		r.add(command+".txt", text.String())
	}
	return nil
}
