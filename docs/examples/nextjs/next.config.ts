import type { NextConfig } from "next";

const config: NextConfig = {
  // This folder is the whole app, whatever else lies above it.
  turbopack: { root: import.meta.dirname },
};

export default config;
