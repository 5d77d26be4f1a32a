"""The Data Repository Service (DRS) 1.5 of the GA4GH: files, bundles and collections under `drs://` ids."""
