package answer_test

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/internal/plugin/answer"
)

func TestWhatMayBeASecretIsRemoved(t *testing.T) {
	for _, test := range []struct{ name, content, gone, kept string }{
		{"a Secret", `{kind: Secret, data: {password: aHVzaA==}, stringData: {other: hush}}`, "hush aHVzaA==", "password other"},
		{"a ConfigMap", `{kind: ConfigMap, data: {TOKEN: hush}, binaryData: {x: aHVzaA==}}`, "hush aHVzaA==", "TOKEN x"},
		{"variables of a pod", `{kind: Pod, spec: {containers: [{name: app, image: a/b:1, env: [{name: TOKEN, value: hush}, {name: REF, valueFrom: {secretKeyRef: {name: s, key: k}}}]}]}}`, "hush", "TOKEN REF secretKeyRef a/b:1"},
		{"arguments", `{kind: Pod, spec: {initContainers: [{command: [sh, -c, hush], args: [--password=hush], livenessProbe: {exec: {command: [hush]}}}]}}`, "hush", "livenessProbe"},
		{"headers of a probe", `{kind: Pod, spec: {containers: [{readinessProbe: {httpGet: {path: /x, httpHeaders: [{name: Authorization, value: hush}]}}}]}}`, "hush", "Authorization /x"},
		{"settings of a Tenant", `{kind: Tenant, spec: {config: {TOKEN: hush}, app: {image: a/b:1, env: [{name: A, value: hush}]}}}`, "hush", "TOKEN a/b:1"},
		{"settings of a class", `{kind: TenantClass, spec: {tenant: {config: {TOKEN: hush}, app: {args: [hush]}}}}`, "hush", "TOKEN"},
		{"kubectl's copy", `{kind: Tenant, metadata: {name: acme, annotations: {kubectl.kubernetes.io/last-applied-configuration: hush, note: kept}, managedFields: [{manager: someone}]}}`, "hush managedFields", "note kept"},
	} {
		t.Run(test.name, func(t *testing.T) {
			object := unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(test.content), &object.Object); err != nil {
				t.Fatal(err)
			}
			answer.Redact(&object)
			text, err := yaml.Marshal(object.Object)
			if err != nil {
				t.Fatal(err)
			}
			for word := range strings.FieldsSeq(test.gone) {
				if strings.Contains(string(text), word) {
					t.Errorf("%s is still in\n%s", word, text)
				}
			}
			for word := range strings.FieldsSeq(test.kept) {
				if !strings.Contains(string(text), word) {
					t.Errorf("%s isn't in\n%s", word, text)
				}
			}
		})
	}
}

func TestSecretsAreFoundWhereverTheyStand(t *testing.T) {
	const password = `pa/ss"wörd+1`
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app.kubernetes.io/managed-by": "tenantry"}},
		Data: map[string][]byte{
			"password": []byte(password), "PGPASSWORD": []byte(password), "uri": []byte("postgresql://t_0:" + url.PathEscape(password) + "@db/t"),
			"provider": []byte("tenantry"), "dbname": []byte("t_brewsrmdqcfqkxdoaomm"),
		},
	}
	other := &corev1.Secret{Data: map[string][]byte{
		"provider": []byte("stripe-key"), "key.pem": []byte("-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\n"), "short": []byte("true"), "padded": []byte("swordfish\n"),
	}}
	scrubber := answer.NewScrubber(append(answer.SecretValues(secret), answer.SecretValues(other)...))
	for name, text := range map[string]string{
		"as it is":            "FATAL: " + password + " is wrong",
		"base64":              base64.StdEncoding.EncodeToString([]byte(password)),
		"in a URL":            "postgresql://t_0:" + url.QueryEscape(password) + "@db",
		"in a path":           url.PathEscape(password),
		"in JSON":             `{"password":"pa/ss\"wörd+1"}`,
		"indented lines":      "key: |\n    MIIEvQIBADANBg\n    kqhkiG9w0BAQEF\n",
		"without its newline": "said swordfish, and ended",
		"of somebody else's":  "stripe-key",
	} {
		scrubbed := scrubber.Scrub(text)
		for _, secret := range []string{password, url.QueryEscape(password), url.PathEscape(password), base64.StdEncoding.EncodeToString([]byte(password)), `ss\"wö`, "MIIEvQ", "kqhkiG9", "swordfish", "stripe-key"} {
			if strings.Contains(scrubbed, secret) {
				t.Errorf("%s: %q is still in %q", name, secret, scrubbed)
			}
		}
		if !strings.Contains(scrubbed, answer.Removed) {
			t.Errorf("%s: nothing was removed from %q", name, scrubbed)
		}
	}
	const harmless = "It is true that tenantry has t_brewsrmdqcfqkxdoaomm."
	if scrubber.Scrub(harmless) != harmless || (answer.Scrubber{}).Scrub(harmless) != harmless {
		t.Errorf("what is no secret was removed: %q", scrubber.Scrub(harmless))
	}
}

func TestASecretIsFoundBeforeItsTextIsBroken(t *testing.T) {
	secret := strings.Repeat("many words that make one secret ", 8)
	scrubber := answer.NewScrubber([]string{secret})
	object := map[string]any{"message": "before " + secret + "after", "list": []any{secret}, secret: int64(1), "count": int64(7)}
	text, err := yaml.Marshal(scrubber.ScrubObject(object))
	if err != nil || strings.Contains(string(text), "many") || !strings.Contains(string(text), "count: 7") || strings.Count(string(text), answer.Removed) != 3 {
		t.Errorf("got\n%s%v", text, err)
	}
}
