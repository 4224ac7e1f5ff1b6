package parts

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
)

// Files are the contents of the files with a tenant's settings; empty for those that it has not.
type Files struct {
	// Features has the feature flags.
	Features string
	// CustomFields has the schemas of custom fields.
	CustomFields string
}

// The folders and files in which the app finds its settings.
const (
	settingsMountPath = "/etc/tenantry/settings"
	configMountPath   = "/etc/tenantry/config"
	secretsMountPath  = "/etc/tenantry/secrets" //nolint:gosec // A path.
	featuresFile      = "features.json"
	customFieldsFile  = "custom-fields.json"
)

// featureVariables make the providers of OpenFeature for flagd read the file, in all languages: with a path,
// in-process means the file. They look for changes every second; some would do so only every five.
var featureVariables = []corev1.EnvVar{
	{Name: "FLAGD_RESOLVER", Value: "in-process"},
	{Name: "FLAGD_OFFLINE_FLAG_SOURCE_PATH", Value: settingsMountPath + "/" + featuresFile},
	{Name: "FLAGD_OFFLINE_POLL_MS", Value: "1000"},
}

// watchesFiles reports whether the app's settings change without a restart.
func watchesFiles(app *v1alpha1.TenantApp) bool { return app.Reload == v1alpha1.ReloadWatch }

// settingsFiles returns the ConfigMap with the files; nil for a tenant that has none.
func settingsFiles(in Inputs) desired.Object {
	spec, data := in.Tenant.Spec, map[string]string{}
	if len(spec.Features) > 0 {
		data[featuresFile] = in.Files.Features
	}
	if len(spec.CustomFields) > 0 {
		data[customFieldsFile] = in.Files.CustomFields
	}
	if len(data) == 0 {
		return nil
	}
	return &corev1.ConfigMap{ObjectMeta: meta(in.Tenant, naming.AppSettings), Data: data}
}

// settingsVariables are the variables that say where the files are.
func settingsVariables(tenant *effective.Tenant) []corev1.EnvVar {
	var variables []corev1.EnvVar
	if len(tenant.Spec.Features) > 0 {
		variables = append(variables, featureVariables...)
	}
	if len(tenant.Spec.CustomFields) > 0 {
		variables = append(variables, corev1.EnvVar{Name: "CUSTOM_FIELDS_PATH", Value: settingsMountPath + "/" + customFieldsFile})
	}
	return variables
}

// settingsSources are the sources of the variables that the tenant's settings become.
func settingsSources(tenant *effective.Tenant) []corev1.EnvFromSource {
	sources := []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: naming.AppConfig},
	}}}
	for _, secret := range tenant.Spec.SecretRefs {
		sources = append(sources, corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: secret.Name},
		}})
	}
	return sources
}

// settingsVolumes are the volumes with the tenant's settings, and where they are mounted. A tenant that has only a
// config, and restarts for it, has none.
func settingsVolumes(in Inputs) (volumes []corev1.Volume, mounts []corev1.VolumeMount) {
	add := func(name, path string, source corev1.VolumeSource) {
		volumes = append(volumes, corev1.Volume{Name: name, VolumeSource: source})
		mounts = append(mounts, corev1.VolumeMount{Name: name, MountPath: path, ReadOnly: true})
	}
	configMap := func(name string) corev1.VolumeSource {
		return corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}
	}
	if settingsFiles(in) != nil {
		add(naming.AppSettings, settingsMountPath, configMap(naming.AppSettings))
	}
	if watchesFiles(in.Tenant.Spec.App) {
		add(naming.AppConfig, configMountPath, configMap(naming.AppConfig))
	}
	for _, secret := range in.Tenant.Spec.SecretRefs {
		add(naming.SecretVolume(secret.Name), secretsMountPath+"/"+secret.Name, corev1.VolumeSource{
			Secret: &corev1.SecretVolumeSource{SecretName: secret.Name},
		})
	}
	return volumes, mounts
}

// writeConfig and writeFiles write what changes with the tenant's settings.
func writeConfig(to io.Writer, in Inputs) {
	config := in.Tenant.Spec.Config
	for _, key := range slices.Sorted(maps.Keys(config)) {
		fmt.Fprintf(to, "%q=%q\n", key, config[key])
	}
}

func writeFiles(to io.Writer, in Inputs) {
	for _, file := range []string{in.Files.Features, in.Files.CustomFields} {
		if file != "" {
			fmt.Fprintf(to, "%q\n", file)
		}
	}
	for _, secret := range in.Tenant.Spec.SecretRefs {
		fmt.Fprintf(to, "%q=%q\n", secret.Name, in.Secrets[secret.Name])
	}
}

// FilesRevision changes with the files that running pods of the app are to see; empty if they are restarted instead.
func FilesRevision(in Inputs) string {
	app := in.Tenant.Spec.App
	if app == nil || !watchesFiles(app) {
		return ""
	}
	hash := sha256.New()
	writeConfig(hash, in)
	writeFiles(hash, in)
	return hex.EncodeToString(hash.Sum(nil))[:16]
}
