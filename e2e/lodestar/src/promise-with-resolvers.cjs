// Loaded before the client. One of its transitive dependencies calls
// Promise.withResolvers, which arrives with Node 22; the client itself needs Node 20.

if (!Promise.withResolvers) {
  Promise.withResolvers = function withResolvers() {
    const parts = {};
    parts.promise = new this((resolve, reject) => Object.assign(parts, { resolve, reject }));
    return parts;
  };
}
