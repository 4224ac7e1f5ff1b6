package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const (
	// managerNamespace is where the operator runs. It is the release's namespace, which Helm creates.
	managerNamespace = "tenantry-system"
	// keep makes helm uninstall leave an object.
	keep = "helm.sh/resource-policy"
)

// switches are the values that turn objects of a kind on and off.
var switches = map[string]string{
	"CustomResourceDefinition":          "crds.install",
	"NetworkPolicy/" + managerNamespace: "networkPolicy.enabled",
	"ServiceMonitor":                    "serviceMonitor.enabled",
	"PrometheusRule":                    "prometheusRule.enabled",
	"ConfigMap":                         "dashboards.enabled",
}

// kept are the objects that stay after helm uninstall: what has the tenants and their data.
var kept = map[string]bool{
	"CustomResourceDefinition": true, "Namespace": true, "NetworkPolicy/tenantry-databases": true,
}

// addObject adds an object of config to the template of its kind.
func addObject(files map[string][]byte, object *unstructured.Unstructured) error {
	kind := object.GetKind()
	if kind == "Namespace" && object.GetName() == managerNamespace {
		return nil
	}
	w := &writer{}
	inNamespace := kind + "/" + object.GetNamespace()
	if kept[kind] || kept[inNamespace] {
		if err := unstructured.SetNestedField(object.Object, "keep", "metadata", "annotations", keep); err != nil {
			return err
		}
	}
	if err := w.values(object); err != nil {
		return err
	}
	w.add(object.Object, `{{- include "tenantry.labels" . | nindent INDENT }}`, "metadata", "labels")
	text, err := w.text(object)
	if err != nil {
		return err
	}
	for _, name := range []string{kind, inNamespace} {
		if value := switches[name]; value != "" {
			text = fmt.Sprintf("{{- if .Values.%s }}\n%s{{- end }}\n", value, text)
		}
	}
	name := "templates/" + strings.ToLower(kind) + ".yaml"
	files[name] = append(files[name], "---\n"+text...)
	return nil
}

// writer writes an object as a template. Its pieces of template stand in the object as marks until it is text. In a piece,
// INDENT is the number of spaces before the line with the mark, INNER two more, and SPACES these spaces.
type writer struct{ pieces []string }

// values puts the values of an object's kind into it.
func (w *writer) values(object *unstructured.Unstructured) error {
	switch object.GetKind() {
	case "Deployment":
		return w.deployment(object)
	case "ServiceMonitor":
		return w.serviceMonitor(object)
	case "ServiceAccount":
		w.optional(object.Object, "annotations", "serviceAccount.annotations", "metadata")
	case "PrometheusRule":
		w.further(object.Object, "prometheusRule.labels", "metadata", "labels")
	case "ConfigMap":
		w.further(object.Object, "dashboards.labels", "metadata", "labels")
	}
	return nil
}

// value returns what stands in the object for a value that is a piece of template.
func (w *writer) value(piece string) string {
	w.pieces = append(w.pieces, piece)
	return fmt.Sprintf("mark-%d-", len(w.pieces)-1)
}

// add adds a piece of template that stands on lines of its own to the map at a path.
func (w *writer) add(content map[string]any, piece string, path ...string) {
	for _, field := range path {
		inner, found := content[field].(map[string]any)
		if !found {
			inner = map[string]any{}
			content[field] = inner
		}
		content = inner
	}
	content["block-"+w.value(piece)] = ""
}

// optional adds a field that is there if its value is set.
func (w *writer) optional(content map[string]any, field, value string, path ...string) {
	w.add(content, "{{- with .Values."+value+" }}\nSPACES"+field+": {{- toYaml . | nindent INNER }}\n{{- end }}", path...)
}

// further adds the entries of a value to the map at a path.
func (w *writer) further(content map[string]any, value string, path ...string) {
	w.add(content, "{{- with .Values."+value+" }}{{- toYaml . | nindent INDENT }}{{- end }}", path...)
}

func (w *writer) serviceMonitor(object *unstructured.Unstructured) error {
	w.further(object.Object, "serviceMonitor.labels", "metadata", "labels")
	endpoints, _, err := unstructured.NestedSlice(object.Object, "spec", "endpoints")
	if err != nil {
		return err
	}
	if len(endpoints) != 1 {
		return fmt.Errorf("it has %d endpoints, want one", len(endpoints))
	}
	w.optional(endpoints[0].(map[string]any), "interval", "serviceMonitor.interval")
	return unstructured.SetNestedSlice(object.Object, endpoints, "spec", "endpoints")
}

// deployment puts the values into the Deployment of the operator.
func (w *writer) deployment(object *unstructured.Unstructured) error {
	pod := []string{"spec", "template", "spec"}
	container, err := containerOf(object)
	if err != nil {
		return err
	}
	container["image"] = w.value(`{{ include "tenantry.image" . }}`)
	container["resources"] = w.value("{{- toYaml .Values.resources | nindent INNER }}")
	w.optional(container, "imagePullPolicy", "image.pullPolicy")
	args, _ := container["args"].([]any)
	container["args"] = append(args, "block-"+w.value(`{{- with include "tenantry.args" . }}{{- . | nindent INDENT }}{{- end }}`))
	if err := errors.Join(
		unstructured.SetNestedSlice(object.Object, []any{container}, append(pod, "containers")...),
		unstructured.SetNestedField(object.Object, w.value("{{ .Values.replicas }}"), "spec", "replicas"),
	); err != nil {
		return err
	}
	for _, field := range []string{"affinity", "nodeSelector", "tolerations", "topologySpreadConstraints", "priorityClassName", "imagePullSecrets"} {
		w.optional(object.Object, field, field, pod...)
	}
	w.further(object.Object, "podLabels", "spec", "template", "metadata", "labels")
	w.further(object.Object, "podAnnotations", "spec", "template", "metadata", "annotations")
	return nil
}

func containerOf(deployment *unstructured.Unstructured) (map[string]any, error) {
	containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	if err != nil {
		return nil, err
	}
	if len(containers) != 1 {
		return nil, fmt.Errorf("it has %d containers, want one", len(containers))
	}
	return containers[0].(map[string]any), nil
}

// marked matches a line with a mark: one that is a block, or one that ends with a value.
var marked = regexp.MustCompile(`(?m)^( *)(?:(?:- )?block-mark-(\d+)-(?:: "")?|(.*: )mark-(\d+)-)$`)

// text returns the object as a template.
func (w *writer) text(object *unstructured.Unstructured) (string, error) {
	encoded, err := yaml.Marshal(object.Object)
	if err != nil {
		return "", err
	}
	escaped := strings.NewReplacer("{{", `{{ "{{" }}`, "}}", `{{ "}}" }}`).Replace(string(encoded))
	filled := 0
	text := marked.ReplaceAllStringFunc(escaped, func(line string) string {
		filled++
		found := marked.FindStringSubmatch(line)
		spaces, number := len(found[1]), found[2]+found[4]
		at, _ := strconv.Atoi(number) // the pattern has digits only
		piece := strings.NewReplacer(
			"INDENT", strconv.Itoa(spaces), "INNER", strconv.Itoa(spaces+2), "SPACES", found[1],
		).Replace(w.pieces[at])
		if found[3] != "" {
			return found[1] + strings.TrimSuffix(found[3], " ") + separator(piece) + piece
		}
		return piece
	})
	if filled != len(w.pieces) {
		return "", fmt.Errorf("%d of %d pieces of template are in the text; name the fields so that each mark is on a line of its own", filled, len(w.pieces))
	}
	return text, nil
}

// separator returns the space between a field and its value, unless the value begins on another line.
func separator(piece string) string {
	if strings.HasPrefix(piece, "{{-") {
		return ""
	}
	return " "
}

// unreleased is the version of the chart in a checkout.
const unreleased = "0.1.0"

// defaults are the chart's version, and the values of the operator's Deployment.
type defaults struct {
	Version, Repository, Tag, Resources string
	Replicas                            int64
}

func defaultsOf(objects []*unstructured.Unstructured) (defaults, error) {
	for _, object := range objects {
		if object.GetKind() != "Deployment" {
			continue
		}
		container, err := containerOf(object)
		if err != nil {
			return defaults{}, err
		}
		image, _ := container["image"].(string)
		repository, tag, found := strings.Cut(image, ":")
		if !found {
			return defaults{}, fmt.Errorf("the image %q of the Deployment has no tag", image)
		}
		resources, err := yaml.Marshal(map[string]any{"resources": container["resources"]})
		if err != nil {
			return defaults{}, err
		}
		replicas, _, err := unstructured.NestedInt64(object.Object, "spec", "replicas")
		return defaults{Version: unreleased, Repository: repository, Tag: tag, Resources: string(resources), Replicas: replicas}, err
	}
	return defaults{}, errors.New("config/default has no Deployment")
}
