// One step of "back" for each page. Streamlit makes a step of every change of an address, also when a page completes
// its own with what it shows first (runs, file, analysis); whoever pressed "back" met the same page up to four times.
const push = history.pushState

history.pushState = function (state, unused, url) {
  const next = new URL(url ?? location.href, location.href)
  const here = next.origin === location.origin && next.pathname === location.pathname
  return (here ? history.replaceState : push).call(history, state, unused, url)
}
