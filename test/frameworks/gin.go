package frameworks

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
)

// ForGin converts net/http middleware to gin's.
func ForGin(middleware func(http.Handler) http.Handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		outer, passed := c.Writer, false
		defer func() { c.Writer = outer }() // an outer gin.Recovery answers with it
		middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			passed = true
			c.Request, c.Writer = r, &ginWriter{outer, w}
			c.Next()
			status := outer.Status()
			if len(c.Errors) > 0 && !outer.Written() {
				status = http.StatusInternalServerError // outer middleware turns the errors into an answer
			}
			w.WriteHeader(status) // gin sends it later
		})).ServeHTTP(outer, c.Request)
		if !passed {
			c.Abort()
		}
	}
}

// ginWriter informs the middleware that the response begins, and keeps gin's record of it.
type ginWriter struct {
	gin.ResponseWriter
	guarded http.ResponseWriter // the middleware's
}

func (w *ginWriter) WriteHeaderNow() {
	if !w.Written() {
		w.guarded.WriteHeader(w.Status())
		w.ResponseWriter.WriteHeaderNow()
	}
}

func (w *ginWriter) Write(p []byte) (int, error) {
	w.WriteHeaderNow()
	return w.guarded.Write(p)
}

func (w *ginWriter) WriteString(s string) (int, error) {
	w.WriteHeaderNow()
	return io.WriteString(w.guarded, s)
}

func (w *ginWriter) Flush() {
	w.WriteHeaderNow()
	_ = http.NewResponseController(w.guarded).Flush()
}

func (w *ginWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.guarded).Hijack()
}

func (w *ginWriter) Unwrap() http.ResponseWriter { return w.guarded }
