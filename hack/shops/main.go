// Command shops takes a picture of two pages side by side, for the README. It needs chromium, from Debian's package:
//
//	go run ./hack/shops docs/images/shops.png http://127.0.0.1:8001/ http://127.0.0.1:8002/
package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/tenantry/tenantry/hack/process"
)

// page shows the pages as a person has them in two windows.
const page = `<!DOCTYPE html>
<style>
body { margin: 0; padding: 16px; display: flex; gap: 16px; background: #d8d8d4; }
iframe { flex: 1; height: 388px; border: 0; border-radius: 8px; }
</style>
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := picture(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "shops:", err)
		os.Exit(1)
	}
}

func picture(ctx context.Context, args []string) (err error) {
	if len(args) < 2 {
		return errors.New("name the picture, and the pages")
	}
	target, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "shops-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	text := strings.Builder{}
	text.WriteString(page)
	for _, url := range args[1:] {
		content, err := get(ctx, url)
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "<iframe srcdoc=\"%s\"></iframe>\n", html.EscapeString(content))
	}
	shown := filepath.Join(folder, "shops.html")
	if err := os.WriteFile(shown, []byte(text.String()), 0o600); err != nil {
		return err
	}
	// What the browser asks other hosts for by itself stays here. Its sandbox would need a user other than root.
	_, err = process.Output(exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--hide-scrollbars",
		"--host-resolver-rules=MAP * ~NOTFOUND", "--user-data-dir="+filepath.Join(folder, "profile"),
		"--window-size=1400,420", "--screenshot="+target, "file://"+shown))
	return err
}

func get(ctx context.Context, url string) (content string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", url, response.Status)
	}
	return string(text), err
}
