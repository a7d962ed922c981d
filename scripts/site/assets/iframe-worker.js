/* Where pages are read from a folder, browsers start no worker: the search then runs in a frame. */
(() => {
  if (location.protocol !== "file:") return;
  class IFrameWorker extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inside = this.frame.contentDocument;
      this.inner = this.frame.contentWindow;
      this.inner.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      this.inner.importScripts = (...urls) =>
        urls.reduce((before, one) => before.then(() => this.load(inside, one)), Promise.resolve());
      this.load(inside, url).then(() => {
        for (const data of this.waiting) this.give(data);
        this.waiting = null;
      });
    }
    load(inside, url) {
      return new Promise((done, failed) => {
        const script = inside.createElement("script");
        script.src = new URL(url, location.href);
        script.onload = done;
        script.onerror = failed;
        inside.head.append(script);
      });
    }
    give(data) {
      this.inner.dispatchEvent(new MessageEvent("message", { data }));
    }
    postMessage(data) {
      if (this.waiting) this.waiting.push(data);
      else this.give(data);
    }
    terminate() {
      this.frame.remove();
    }
  }
  window.IFrameWorker = IFrameWorker; // the name by which the theme knows that no server is there
  window.Worker = IFrameWorker;
})();
