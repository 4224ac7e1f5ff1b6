// Package browser opens web pages in a headless Chromium, from Debian's package.
package browser

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"

	"github.com/chromedp/chromedp"

	"github.com/tenantry/tenantry/hack/apt"
)

const program = "chromium"

// Browser is a running Chromium. It reaches this machine only: nothing that it asks other hosts for by itself leaves.
type Browser struct {
	tabs context.Context
}

// Start starts a browser, which it first installs if there is none. It ends with this program, or by Stop.
func Start(ctx context.Context, progress io.Writer) (*Browser, error) {
	if _, err := exec.LookPath(program); err != nil {
		if err := apt.Ensure(ctx, progress, program); err != nil {
			return nil, err
		}
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))
	// The browser is to outlive the context of what needs it first.
	allocator, _ := chromedp.NewExecAllocator(context.WithoutCancel(ctx), options...)
	tabs, end := chromedp.NewContext(allocator)
	if err := chromedp.Do(tabs); err != nil {
		end()
		return nil, fmt.Errorf("can't start %s: %w", program, err)
	}
	return &Browser{tabs: tabs}, nil
}

// Stop ends the browser.
func (b *Browser) Stop() error { return chromedp.Cancel(b.tabs) }

// Page is a page in a tab of its own.
type Page struct {
	tab context.Context
}

// Open opens a page, which must be one that the server has. The caller must close it.
func (b *Browser) Open(ctx context.Context, url string) (*Page, error) {
	tab, end := chromedp.NewContext(b.tabs)
	if err := chromedp.Do(tab); err != nil { //nolint:contextcheck // The tab outlives this call.
		end()
		return nil, err
	}
	page := &Page{tab: tab}
	response, err := run(ctx, page, chromedp.NavigateResponse(url))
	if err == nil && response != nil && response.Status >= http.StatusBadRequest {
		err = fmt.Errorf("%s answers %d %s", url, response.Status, response.StatusText)
	}
	if err != nil {
		_ = page.Close() // The error that matters is the first.
		return nil, err
	}
	return page, nil
}

// Close closes the tab.
func (p *Page) Close() error { return chromedp.Cancel(p.tab) }

// Reload loads the page once more.
func (p *Page) Reload(ctx context.Context) error { return p.do(ctx, chromedp.Reload()) }

// Text returns what a person can read on the page: a line for each paragraph and row, and tabs between the cells.
func (p *Page) Text(ctx context.Context) (string, error) {
	return run(ctx, p, chromedp.Text(chromedp.CSS("body")))
}

// Color returns the color of the background of the first element that a CSS selector finds.
func (p *Page) Color(ctx context.Context, selector string) (string, error) {
	return run(ctx, p, chromedp.Evaluate[string](fmt.Sprintf("getComputedStyle(document.querySelector(%q)).backgroundColor", selector)))
}

// Write replaces what is in the field with a label.
func (p *Page) Write(ctx context.Context, label, text string) error {
	field := fmt.Sprintf(`//input[@id=//label[contains(., "%[1]s")]/@for] | //label[contains(., "%[1]s")]//input`, label)
	// chromedp.Clear would change what the field has after the form is reset.
	empty := fmt.Sprintf("document.evaluate(%q, document, null, XPathResult.FIRST_ORDERED_NODE_TYPE).singleNodeValue.value = ''", field)
	if _, err := run(ctx, p, chromedp.Evaluate[string](empty)); err != nil {
		return err
	}
	return p.do(ctx, chromedp.SendKeys(chromedp.Search(field), text))
}

// Press presses the button of a name.
func (p *Page) Press(ctx context.Context, button string) error {
	return p.do(ctx, chromedp.Click(chromedp.Search(fmt.Sprintf("//button[.=%q]", button))))
}

// Picture returns a picture of the page in a window of a size in pixels, as PNG.
func (p *Page) Picture(ctx context.Context, width, height int64) ([]byte, error) {
	if err := p.do(ctx, chromedp.EmulateViewport(width, height)); err != nil {
		return nil, err
	}
	return run(ctx, p, chromedp.CaptureScreenshot())
}

func (p *Page) do(ctx context.Context, steps ...chromedp.Action[chromedp.Void]) error {
	_, err := run(ctx, p, chromedp.Steps(steps...))
	return err
}

// run runs an action in the tab of a page until the context ends.
func run[T any](ctx context.Context, page *Page, action chromedp.Action[T]) (T, error) {
	within, cancel := context.WithCancelCause(page.tab)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
	return chromedp.Run(within, action) //nolint:contextcheck // It ends with ctx, too.
}
