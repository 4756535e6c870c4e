// The hub's API as its pages call it. A browser drops connections when a network interface comes or goes, and on the
// engine's own machine each server's start and end does that; a hub that is being replaced drops them too. A call that
// may safely be made twice is repeated; of any other the page says that its outcome is unknown.
(() => {
  "use strict";
  const PAUSES = [300, 600, 1200, 2400, 4800]; // milliseconds
  const UNKNOWN = "The connection to the hub was lost. Reload the page to see whether the hub has done it.";

  const isApi = (url) => url.pathname.startsWith(`${window.jhdata.base_url}api/`);
  const isStart = (method, url) => method === "POST" && /\/servers?\/?$/.test(url.pathname);
  // Of two links of one user the newer is good.
  const isInvitation = (url) => /\/invitation$/.test(url.pathname);
  const isRepeatable = (method, url) => !["POST", "PATCH"].includes(method) || isStart(method, url) || isInvitation(url);
  // 0: no answer; 502 and 504 are the proxy's
  const isLost = (status) => [0, 502, 504].includes(status);
  const again = (method, url, status, tries) =>
    isLost(status) && isRepeatable(method, url) && tries < PAUSES.length;
  // A repeated call finds what its first try did, whose answer was lost: nothing to delete, a server that runs.
  const isDone = (method, url, status, tries) =>
    tries > 0 && ((method === "DELETE" && status === 404) || (isStart(method, url) && status === 400));

  const fetchOnce = window.fetch.bind(window);
  window.fetch = async (resource, options = {}) => {
    const url = new URL(resource.url ?? resource, location);
    const method = (options.method ?? "GET").toUpperCase();
    if (!isApi(url)) return fetchOnce(resource, options);
    for (let tries = 0; ; tries++) {
      const answer = await fetchOnce(resource, options).catch((error) => error);
      const status = answer.status ?? 0;
      if (again(method, url, status, tries)) {
        await new Promise((resume) => setTimeout(resume, PAUSES[tries]));
      } else if (isDone(method, url, status, tries)) {
        return new Response(null, { status: 204 });
      } else if (answer instanceof Response) {
        return answer;
      } else {
        throw answer;
      }
    }
  };

  const ajaxOnce = jQuery.ajax;
  jQuery.ajax = (address, options = {}) => {
    const url = new URL(address.url ?? address, location);
    const method = (options.type ?? options.method ?? "GET").toUpperCase();
    if (typeof address !== "string" || !isApi(url)) return ajaxOnce.call(jQuery, address, options);
    let tries = 0;
    const error = (xhr, ...how) => {
      if (again(method, url, xhr.status, tries)) {
        setTimeout(ask, PAUSES[tries++]);
      } else if (isDone(method, url, xhr.status, tries)) {
        options.success?.();
      } else {
        if (xhr.status === 0) xhr.responseJSON = { message: UNKNOWN };
        options.error?.(xhr, ...how);
      }
    };
    const ask = () => ajaxOnce.call(jQuery, address, { ...options, error });
    return ask();
  };
})();
