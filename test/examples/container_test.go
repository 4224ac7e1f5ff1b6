package examples

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// container is what a kubelet derives from a container's spec: the program to run, its environment and its files,
// without what every container gets (the address of the API server, HOSTNAME) and what comes with the image.
type container struct {
	command     []string
	environment map[string]string
	mounts      []mount
}

// mount is a folder with the files of a ConfigMap. It is not at the path that the container has it at, since programs
// of other tenants run beside this one.
type mount struct {
	namespace, configMap, folder string
}

// write writes the files of the mounts, as a kubelet does before the program starts and when they have changed.
func (c container) write(ctx context.Context) error {
	for _, mount := range c.mounts {
		files, err := configMap(ctx, mount.namespace, mount.configMap)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(mount.folder, 0o700); err != nil {
			return err
		}
		for name, content := range files {
			path := filepath.Join(mount.folder, name)
			if err := errors.Join(os.WriteFile(path+"~", []byte(content), 0o600), os.Rename(path+"~", path)); err != nil {
				return err
			}
		}
	}
	return nil
}

// variables returns the environment as KEY=value.
func (c container) variables() []string {
	var variables []string
	for _, name := range slices.Sorted(maps.Keys(c.environment)) {
		variables = append(variables, name+"="+c.environment[name])
	}
	return variables
}

// resolve reads the ConfigMaps and Secrets that the first container of a pod refers to.
func resolve(ctx context.Context, namespace string, pod corev1.PodSpec) (container, error) {
	spec := pod.Containers[0]
	environment, err := environmentOf(ctx, namespace, spec)
	if err != nil {
		return container{}, err
	}
	var mounts []mount
	for _, mounted := range spec.VolumeMounts {
		at := slices.IndexFunc(pod.Volumes, func(volume corev1.Volume) bool { return volume.Name == mounted.Name })
		source := pod.Volumes[at].ConfigMap
		if source == nil {
			return container{}, fmt.Errorf("volume %s is one that this test can't mount", mounted.Name)
		}
		folder := filepath.Join(env.Dir, "mounts", namespace, source.Name)
		for name, value := range environment {
			if inside, found := strings.CutPrefix(value, mounted.MountPath+"/"); found {
				environment[name] = filepath.Join(folder, inside)
			}
		}
		mounts = append(mounts, mount{namespace: namespace, configMap: source.Name, folder: folder})
	}
	var command []string
	for _, word := range slices.Concat(spec.Command, spec.Args) {
		command = append(command, expand(word, environment))
	}
	return container{command: command, environment: environment, mounts: mounts}, nil
}

// environmentOf returns the environment of a container. A later source overrides an earlier one, and env overrides
// envFrom.
func environmentOf(ctx context.Context, namespace string, spec corev1.Container) (map[string]string, error) {
	environment := map[string]string{}
	for _, source := range spec.EnvFrom {
		values, err := allOf(ctx, namespace, source)
		if err != nil {
			return nil, fmt.Errorf("envFrom: %w", err)
		}
		for key, value := range values {
			environment[source.Prefix+key] = value
		}
	}
	for _, variable := range spec.Env {
		if variable.ValueFrom == nil {
			environment[variable.Name] = expand(variable.Value, environment)
			continue
		}
		value, found, err := oneOf(ctx, namespace, variable.ValueFrom)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", variable.Name, err)
		}
		if found {
			environment[variable.Name] = value
		}
	}
	return environment, nil
}

var reference = regexp.MustCompile(`\$\$|\$\([^)]*\)`)

// expand replaces references like $(NAME) with values. References to unknown variables stay as they are, and $$
// becomes a dollar sign. See
// https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/.
func expand(text string, environment map[string]string) string {
	return reference.ReplaceAllStringFunc(text, func(found string) string {
		if found == "$$" {
			return "$"
		}
		if value, exists := environment[found[2:len(found)-1]]; exists {
			return value
		}
		return found
	})
}

func allOf(ctx context.Context, namespace string, source corev1.EnvFromSource) (map[string]string, error) {
	switch {
	case source.ConfigMapRef != nil:
		values, err := configMap(ctx, namespace, source.ConfigMapRef.Name)
		return values, unless(source.ConfigMapRef.Optional, err)
	case source.SecretRef != nil:
		values, err := secret(ctx, namespace, source.SecretRef.Name)
		return values, unless(source.SecretRef.Optional, err)
	}
	return nil, fmt.Errorf("%v is a source that this test can't read", source)
}

func oneOf(ctx context.Context, namespace string, source *corev1.EnvVarSource) (value string, found bool, err error) {
	var (
		values   map[string]string
		key      string
		optional *bool
	)
	switch {
	case source.ConfigMapKeyRef != nil:
		key, optional = source.ConfigMapKeyRef.Key, source.ConfigMapKeyRef.Optional
		values, err = configMap(ctx, namespace, source.ConfigMapKeyRef.Name)
	case source.SecretKeyRef != nil:
		key, optional = source.SecretKeyRef.Key, source.SecretKeyRef.Optional
		values, err = secret(ctx, namespace, source.SecretKeyRef.Name)
	default:
		return "", false, fmt.Errorf("%v is a source that this test can't read", source)
	}
	if err := unless(optional, err); err != nil {
		return "", false, err
	}
	value, found = values[key]
	if !found && !ptr.Deref(optional, false) {
		return "", false, fmt.Errorf("there is no key %s in %v", key, source)
	}
	return value, found, nil
}

// unless returns the error of reading a source, or nil if an optional source is missing.
func unless(optional *bool, err error) error {
	if ptr.Deref(optional, false) {
		return client.IgnoreNotFound(err)
	}
	return err
}

func configMap(ctx context.Context, namespace, name string) (map[string]string, error) {
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	err := env.Client.Get(ctx, client.ObjectKeyFromObject(object), object)
	return object.Data, err
}

func secret(ctx context.Context, namespace, name string) (map[string]string, error) {
	object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := env.Client.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
		return nil, err
	}
	values := make(map[string]string, len(object.Data))
	for key, value := range object.Data {
		values[key] = string(value)
	}
	return values, nil
}
