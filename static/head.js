// Runs before Streamlit's own scripts.

// Where the server is, told beforehand. Streamlit looks for it below the address of the page first (/compare/_stcore),
// is told that there is none, looks once more and only then opens its socket: two round trips while a page is awaited.
// Messages of pages that hold this one in a frame are taken from this host alone.
window.__streamlit = {
  BACKEND_BASE_URL: new URL("../../", import.meta.url).href,
  HOST_CONFIG: { allowedOrigins: [location.origin], useExternalAuthToken: false },
}

// One step of "back" for each page. Streamlit makes a step of every change of an address, also when a page completes
// its own with what it shows first (runs, file, analysis); whoever pressed "back" met the same page up to four times.
const push = history.pushState

history.pushState = function (state, unused, url) {
  const next = new URL(url ?? location.href, location.href)
  const here = next.origin === location.origin && next.pathname === location.pathname
  return (here ? history.replaceState : push).call(history, state, unused, url)
}
