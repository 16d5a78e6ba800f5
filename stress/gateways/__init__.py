"""The bundled Gateways: one HTTP application over one deduplication protocol a file, racy ones and their fixed."""
