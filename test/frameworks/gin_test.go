package frameworks_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/latchkey-sessions/latchkey/test/frameworks"
)

func withGin(a *app, inside bool) http.Handler {
	answer := func(c *gin.Context, err error) {
		if err != nil {
			_ = c.Error(err)
			return
		}
		c.Header("X-Handler", "gin")
		c.JSON(http.StatusOK, tally{a.count(c.Request.Context())})
	}
	// errors is how programs with gin answer errors: outside, when the handlers are done.
	errors := func(c *gin.Context) {
		c.Next()
		if len(c.Errors) > 0 && !c.Writer.Written() {
			c.JSON(http.StatusInternalServerError, gin.H{"error": c.Errors.Last().Error()})
		}
	}
	recovery := gin.RecoveryWithWriter(io.Discard)
	r := gin.New()
	r.Use(errors)
	sessions := []gin.HandlerFunc{frameworks.ForGin(a.sessions.Handler)}
	if inside {
		sessions = append(sessions, recovery)
	} else {
		r.Use(recovery)
	}
	account := r.Group("/account/:name", sessions...)
	account.GET("/count", func(c *gin.Context) { answer(c, nil) })
	account.POST("/add", func(c *gin.Context) {
		var body added
		if err := c.ShouldBindJSON(&body); err != nil {
			c.AbortWithStatusJSON(http.StatusBadRequest, gin.H{"error": err.Error()})
			return
		}
		answer(c, a.add(c.Request.Context(), body.N))
	})
	account.POST("/conflict", func(c *gin.Context) { answer(c, a.conflict(c.Request.Context())) })
	account.POST("/fail", func(c *gin.Context) { answer(c, a.fail(c.Request.Context())) })
	account.POST("/panic", func(c *gin.Context) { a.panic(c.Request.Context()) })
	account.POST("/leave", func(c *gin.Context) { answer(c, a.leave(c.Request.Context())) })
	limit := func(c *gin.Context) {
		ctx, cancel := context.WithTimeout(c.Request.Context(), patienceOfSlow)
		defer cancel()
		c.Request = c.Request.WithContext(ctx)
		c.Next()
	}
	account.POST("/slow", limit, func(c *gin.Context) {
		_ = c.AbortWithError(http.StatusServiceUnavailable, a.slow(c.Request.Context()))
	})
	return r
}

func TestGin(t *testing.T) {
	t.Parallel()
	gin.SetMode(gin.ReleaseMode)
	run(t, overNetHTTP(withGin))
}
