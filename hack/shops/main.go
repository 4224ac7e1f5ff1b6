// Command shops takes a picture of two pages side by side, for the README:
//
//	go run ./hack/shops docs/images/shops.png http://127.0.0.1:8001/ http://127.0.0.1:8002/
package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/tenantry/tenantry/hack/browser"
)

const (
	width, height = 1400, 520
	// page shows the pages as a person has them in two windows.
	page = `<!DOCTYPE html>
<style>
body { margin: 0; padding: 16px; display: flex; gap: 16px; background: #d8d8d4; }
iframe { flex: 1; height: 488px; border: 0; border-radius: 8px; }
</style>
`
)

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
	folder, err := os.MkdirTemp("", "shops-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	chromium, err := browser.Start(ctx, os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, chromium.Stop()) }()
	text := strings.Builder{}
	text.WriteString(page)
	for _, url := range args[1:] {
		// A frame would show an error as a page.
		alone, err := chromium.Open(ctx, url)
		if err != nil {
			return err
		}
		if err := alone.Close(); err != nil {
			return err
		}
		fmt.Fprintf(&text, "<iframe src=\"%s\"></iframe>\n", html.EscapeString(url))
	}
	together := filepath.Join(folder, "shops.html")
	if err := os.WriteFile(together, []byte(text.String()), 0o600); err != nil {
		return err
	}
	shown, err := chromium.Open(ctx, "file://"+together)
	if err != nil {
		return err
	}
	taken, err := shown.Picture(ctx, width, height)
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], taken, 0o644)
}
