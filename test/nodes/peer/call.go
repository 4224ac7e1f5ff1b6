package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// account is where a pod has the token of its ServiceAccount.
const account = "/var/run/secrets/kubernetes.io/serviceaccount"

// token prints the token of the pod's ServiceAccount.
func token() {
	content, err := os.ReadFile(filepath.Join(account, "token"))
	exitOn(err)
	fmt.Println(string(content))
}

// call sends requests, "METHOD PATH" or "METHOD PATH BODY", to the API server with the pod's own token. It prints a line
// for each: the status and the message of the answer, or why there is none.
func call(requests []string) {
	bearer, err := os.ReadFile(filepath.Join(account, "token"))
	exitOn(err)
	authority, err := os.ReadFile(filepath.Join(account, "ca.crt"))
	exitOn(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	server := net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
	for _, text := range requests {
		method, rest, _ := strings.Cut(text, " ")
		path, body, _ := strings.Cut(rest, " ")
		request, err := http.NewRequest(method, "https://"+server+path, strings.NewReader(body))
		exitOn(err)
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(bearer)))
		request.Header.Set("Content-Type", "application/json")
		if method == http.MethodPatch {
			request.Header.Set("Content-Type", "application/merge-patch+json")
		}
		fmt.Println(answerTo(client, request))
	}
}

func answerTo(client *http.Client, request *http.Request) string {
	response, err := client.Do(request)
	if err != nil {
		return outcome(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	var status struct{ Message string }
	_ = json.Unmarshal(content, &status) // Other answers than a Status have no message.
	return strings.TrimSpace(fmt.Sprint(response.StatusCode, " ", status.Message))
}
