package web

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"testing"
)

// browser is a Chromium without a window that is told what to do over a pipe, as its
// developers' tools do it.
type browser struct {
	t       testing.TB
	in      io.Writer
	out     *bufio.Reader
	id      int
	session string
}

// openBrowser starts one with an empty tab, for as long as the test goes.
func openBrowser(t testing.TB) *browser {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("REQUIRE_ALL") != "" {
			t.Fatal(err)
		}
		t.Skip("chromium is not in PATH, so the page is opened in no browser")
	}
	profile, err := os.MkdirTemp("", "chromium") //nolint:usetesting // its last processes may write into it after it has ended, and t.TempDir would fail
	if err != nil {
		t.Fatal(err)
	}
	itReads, weWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	weRead, itWrites, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--font-render-hinting=none", "--remote-debugging-pipe", "--user-data-dir="+profile)
	cmd.ExtraFiles = []*os.File{itReads, itWrites} // its 3 and 4
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = itReads.Close(), itWrites.Close()
	t.Cleanup(func() {
		_ = weWrite.Close() // then it ends by itself
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = weRead.Close()
		_ = os.RemoveAll(profile)
	})
	b := &browser{t: t, in: weWrite, out: bufio.NewReaderSize(weRead, 1<<20)}
	var tab struct {
		ID string `json:"targetId"`
	}
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &tab)
	var attached struct {
		Session string `json:"sessionId"`
	}
	b.call("Target.attachToTarget", map[string]any{"targetId": tab.ID, "flatten": true}, &attached)
	b.session = attached.Session
	b.call("Page.enable", nil, nil)
	return b
}

type message struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// call asks for something and waits for its answer; what is told meanwhile is dropped.
func (b *browser) call(method string, params map[string]any, result any) {
	b.t.Helper()
	b.id++
	b.send(b.id, method, params)
	for {
		m := b.next()
		if m.ID != b.id {
			continue
		}
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
		}
		return
	}
}

func (b *browser) send(id int, method string, params map[string]any) {
	b.t.Helper()
	request := map[string]any{"id": id, "method": method, "params": params}
	if params == nil {
		request["params"] = map[string]any{}
	}
	if b.session != "" {
		request["sessionId"] = b.session
	}
	text, err := json.Marshal(request)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.in.Write(append(text, 0)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) next() message {
	b.t.Helper()
	text, err := b.out.ReadBytes(0)
	if err != nil {
		b.t.Fatalf("the browser has ended: %v", err)
	}
	var m message
	if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
		b.t.Fatal(err)
	}
	return m
}

// loads does something and waits until the page that follows is there.
func (b *browser) loads(method string, params map[string]any) {
	b.t.Helper()
	b.id++
	b.send(b.id, method, params)
	for answered, loaded := false, false; !answered || !loaded; {
		switch m := b.next(); {
		case m.Error != nil:
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		case m.ID == b.id:
			answered = true
		case m.Method == "Page.loadEventFired":
			loaded = true
		}
	}
}

// open shows an address at a width, light or dark.
func (b *browser) open(url string, width int, scheme string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]any{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	b.loads("Page.navigate", map[string]any{"url": url})
}

// eval gives the value of an expression, after it is settled.
func (b *browser) eval(expression string, result any) {
	b.t.Helper()
	var out struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Exception *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &out)
	if out.Exception != nil {
		b.t.Fatalf("%.200s: %s %s", expression, out.Exception.Text, out.Exception.Exception.Description)
	}
	if result != nil {
		if err := json.Unmarshal(out.Result.Value, result); err != nil {
			b.t.Fatalf("%.200s: %v", expression, err)
		}
	}
}

// press presses a key; one that is a character writes it.
func (b *browser) press(keys ...string) {
	b.t.Helper()
	for _, key := range keys {
		b.down(key)
		b.call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key}, nil)
	}
}

func (b *browser) down(key string) {
	b.t.Helper()
	b.call("Input.dispatchKeyEvent", stroke(key), nil)
}

func stroke(key string) map[string]any {
	params := map[string]any{"type": "keyDown", "key": key}
	switch key {
	case "Tab":
		params["windowsVirtualKeyCode"] = 9
	case "Enter":
		params["windowsVirtualKeyCode"], params["text"] = 13, "\r"
	case " ":
		params["windowsVirtualKeyCode"], params["text"] = 32, " "
	default:
		params["text"] = key
	}
	return params
}

// enter presses Enter and waits for the page that follows.
func (b *browser) enter() {
	b.t.Helper()
	b.loads("Input.dispatchKeyEvent", stroke("Enter"))
}

// picture is so much of the page from a height on, or all of it for 0, as PNG.
func (b *browser) picture(from, height int) []byte {
	b.t.Helper()
	var size struct{ W, H int }
	b.eval("({W: document.documentElement.clientWidth, H: document.documentElement.scrollHeight})", &size)
	if size.H -= from; height > 0 {
		size.H = max(1, min(size.H, height))
	}
	var shot struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true,
		"clip": map[string]any{"x": 0, "y": from, "width": size.W, "height": size.H, "scale": 1}}, &shot)
	data, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	return data
}

// small is a picture with as many colours as a palette has, which nobody misses here.
func small(t testing.TB, picture []byte) []byte {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	// The colours that are there most, and of the others the nearest.
	count := map[color.RGBA]int{}
	area := full.Bounds()
	at := func(x, y int) color.RGBA {
		r, g, b, _ := full.At(x, y).RGBA()
		return color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 0xff}
	}
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		return cmp.Or(count[b]-count[a], cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var palette color.Palette
	for _, c := range colours[:min(len(colours), 64)] {
		palette = append(palette, c)
	}
	nearest := map[color.RGBA]uint8{}
	out := image.NewPaletted(area, palette)
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			c := at(x, y)
			i, known := nearest[c]
			if !known {
				i = uint8(palette.Index(c))
				nearest[c] = i
			}
			out.SetColorIndex(x, y, i)
		}
	}
	var file bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&file, out); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}
